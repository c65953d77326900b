# SPDX-License-Identifier: MIT
# What greenlua is made of: Debian's packages (scripts/setup lists them), and llhttp, which ships as C sources.

find_package(PkgConfig REQUIRED)
pkg_check_modules(LUA REQUIRED lua5.4)
pkg_check_modules(UV REQUIRED libuv)
pkg_check_modules(CRYPTO REQUIRED libcrypto)
pkg_check_modules(SSL REQUIRED libssl)
pkg_check_modules(SQLITE REQUIRED sqlite3)
pkg_check_modules(POSTGRES REQUIRED libpq)
pkg_check_modules(DOMAINS REQUIRED libidn2 libpsl)
pkg_check_modules(NGHTTP2 REQUIRED libnghttp2)
pkg_check_modules(CODINGS REQUIRED zlib libbrotlidec libzstd)
find_library(LUA_STATIC NAMES liblua5.4.a REQUIRED)
find_library(CJSON_STATIC NAMES liblua5.4-cjson.a REQUIRED)
find_library(UV_STATIC NAMES libuv_a.a libuv.a REQUIRED)
find_path(LLHTTP_SOURCES llhttp.c PATHS /usr/share/llhttp REQUIRED)
find_path(LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp REQUIRED)

# llhttp ships as C sources; strict mode is chosen here, at compile time.
add_library(llhttp STATIC ${LLHTTP_SOURCES}/llhttp.c ${LLHTTP_SOURCES}/http.c ${LLHTTP_SOURCES}/api.c)
target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE})
target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(llhttp PRIVATE -w)
