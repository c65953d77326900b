# SPDX-License-Identifier: MIT
# Installs one binary, with lualib inside, and beside it what shells and editors know about it.

include(GNUInstallDirs)
install(TARGETS greenlua RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES host/shell/greenlua.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES host/shell/greenlua.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME greenlua)
install(FILES host/shell/_greenlua DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES host/shell/greenlua.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(DIRECTORY lualib/meta DESTINATION ${CMAKE_INSTALL_DATADIR}/greenlua)
