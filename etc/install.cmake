# Where `cmake --install` and the packages put what: daemons in lib/postcot, an administrator's programs in sbin, everybody's in bin.
set(POSTCOT_DAEMON_DIR lib/postcot)
install(TARGETS smtpd queued authd imapd pop3d RUNTIME DESTINATION ${POSTCOT_DAEMON_DIR})
install(TARGETS sendmail postcot postconf postmap postalias postqueue postsuper postdrop postcat RUNTIME DESTINATION sbin)
install(TARGETS newaliases doveadm doveconf RUNTIME DESTINATION bin)

# postcot once more, as dovecot: postcot-mta and postcot-auth are installed without each other, so a link will not do. The constant makes it
# a program with a build id of its own.
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/program_name.cc CONTENT "extern const char postcot_program_name[];\nconst char postcot_program_name[] = \"dovecot\";\n")
add_executable(dovecot_program ${CMAKE_BINARY_DIR}/program_name.cc $<TARGET_OBJECTS:postcot>)
target_link_libraries(dovecot_program PRIVATE postcot_flags proto_config proto_runtime)
set_target_properties(dovecot_program PROPERTIES OUTPUT_NAME dovecot RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/package)
install(TARGETS dovecot_program RUNTIME DESTINATION sbin)

# One program under several names, each where Postfix, Dovecot and sendmail have it.
install(CODE [[
  set(prefix "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")
  foreach(link "sbin/postfix=postcot" "bin/mailq=../sbin/sendmail" "lib/sendmail=../sbin/sendmail")
    string(REPLACE "=" ";" pair "${link}")
    list(GET pair 0 name)
    list(GET pair 1 target)
    message(STATUS "Installing: ${prefix}/${name} -> ${target}")
    file(CREATE_LINK "${target}" "${prefix}/${name}" SYMBOLIC)
  endforeach()
]])

# Templates: the packages copy them to /etc, and never over what is there.
install(FILES etc/postfix/main.cf.dist etc/postfix/master.cf.dist DESTINATION share/postcot)
install(DIRECTORY etc/dovecot/ DESTINATION share/postcot/dovecot FILES_MATCHING PATTERN "*.conf" PATTERN "*.ext"
  PATTERN protocols.d EXCLUDE)
install(FILES etc/dovecot/protocols.d/imapd.protocol etc/dovecot/protocols.d/pop3d.protocol DESTINATION share/dovecot/protocols.d)
# What units and maintainer scripts run, once for each package: either is installed without the other.
foreach(group postfix dovecot)
  install(PROGRAMS etc/unit-group DESTINATION ${POSTCOT_DAEMON_DIR} RENAME ${group}-group)
  install(PROGRAMS etc/keep-from-purge DESTINATION ${POSTCOT_DAEMON_DIR} RENAME ${group}-keep-from-purge)
endforeach()
install(PROGRAMS etc/housekeeping DESTINATION ${POSTCOT_DAEMON_DIR})

# Completion for bash: one file a package, found under each program's name.
install(FILES etc/completion/postcot-mta etc/completion/postcot-auth DESTINATION share/bash-completion/completions)
install(CODE [[
  set(folder "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share/bash-completion/completions")
  foreach(link postqueue=postcot-mta sendmail=postcot-mta mailq=postcot-mta postcot=postcot-mta postdrop=postcot-mta
               doveadm=postcot-auth doveconf=postcot-auth dovecot=postcot-auth)
    string(REPLACE "=" ";" pair "${link}")
    list(GET pair 0 name)
    list(GET pair 1 target)
    file(CREATE_LINK "${target}" "${folder}/${name}" SYMBOLIC)
  endforeach()
]])
