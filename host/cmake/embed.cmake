# SPDX-License-Identifier: MIT
# Embeds the files of lualib/ in the executable (embed.c: modules are compiled, stubs stay text).
#
#     embed_lua(${OUT} FILES...)              OUT.c is the C source with the tables of embedded.h; the files are below lualib/

function(embed_lua out)
  add_executable(embed host/cmake/embed.c)
  target_include_directories(embed SYSTEM PRIVATE ${LUA_INCLUDE_DIRS})
  target_link_libraries(embed PRIVATE ${LUA_STATIC} m dl)
  list(TRANSFORM ARGN PREPEND ${CMAKE_SOURCE_DIR}/lualib/ OUTPUT_VARIABLE paths)
  add_custom_command(OUTPUT ${out}.c BYPRODUCTS ${out}.bin
    COMMAND embed ${out} ${CMAKE_SOURCE_DIR}/lualib ${ARGN}
    DEPENDS embed ${paths} VERBATIM)
endfunction()
