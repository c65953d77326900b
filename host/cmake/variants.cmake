# SPDX-License-Identifier: MIT
# What the options of the build change of the targets.

if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT GREENLUA_SANITIZE AND NOT GREENLUA_TSAN)
  set_target_properties(greenlua llhttp PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
endif()
if(GREENLUA_WERROR AND NOT GREENLUA_TSAN) # which makes gcc guess wrong
  target_compile_options(greenlua PRIVATE -Werror)
endif()
if(GREENLUA_SANITIZE)
  target_compile_options(greenlua PRIVATE -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(greenlua PRIVATE -fsanitize=address,undefined)
endif()
if(GREENLUA_TSAN)
  target_compile_options(greenlua PRIVATE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(greenlua PRIVATE -fsanitize=thread)
endif()
foreach(flag GREENLUA_GC_STRESS GREENLUA_UCONTEXT)
  if(${flag})
    target_compile_definitions(greenlua PRIVATE ${flag}=1)
  endif()
endforeach()
