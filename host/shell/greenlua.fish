# SPDX-License-Identifier: MIT
# fish completion for greenlua

function __greenlua_script --description "The script or command of the line, if there is one yet"
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case -e -l --listen --cert --key --grace --console --max-memory
                set -e words[1]
            case '-*'
            case '*'
                echo $words[1]
                return 0
        end
        set -e words[1]
    end
    return 1
end

function __greenlua_is_doc
    set -l script (__greenlua_script)
    test (count (commandline -opc)) -eq 2; and test "$script" = doc
end

function __greenlua_is_attach
    set -l script (__greenlua_script)
    test "$script" = attach
end

function __greenlua_is_migrate
    set -l script (__greenlua_script)
    test (count (commandline -opc)) -eq 3; and test "$script" = migrate
end

function __greenlua_is_jobs
    set -l script (__greenlua_script)
    test (count (commandline -opc)) -eq 3; and test "$script" = jobs
end

function __greenlua_names
    set -l words (commandline -opc)
    $words[1] doc --names 2>/dev/null
end

complete -c greenlua -n 'not __greenlua_script >/dev/null' -s e -x -d "Execute a string"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -s i -d "Enter interactive mode after the script"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -s l -x -a '(__greenlua_names | string match "green.*")' -d "Require a library"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -s v -d "Show version information"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -s E -d "Ignore environment variables"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -s W -d "Turn warnings on"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l listen -x -d "Serve on host:port, tls://host:port or unix:/path"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l cert -r -d "Serve tls:// addresses with this certificate (PEM)"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l key -r -d "The key of the certificate (PEM)"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l run -d "Just run the script, whatever it returns"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l console -r -d "Let greenlua attach PATH in"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l max-memory -x -d "Bytes (or K, M, G) of memory to use at most"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l grace -x -d "Seconds for requests to finish in when stopped"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l no-libc -d "Let C modules that block hold up everybody"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l dev -d "Reload what changed, show errors in the browser"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l shake -d "Switch tasks at random (--shake=SEED), to find races"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l version -d "Show version information, and nothing else"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -l help -d "Show help"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -k -a doc -d "Show the reference"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -k -a attach -d "A prompt inside a process that serves"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -k -a db -d "A prompt with the app's database and models"
complete -c greenlua -n 'not __greenlua_script >/dev/null' -k -a migrate -d "Apply the app's migrations"
complete -c greenlua -n __greenlua_is_migrate -f -a 'up down status new mark'
complete -c greenlua -n 'not __greenlua_script >/dev/null' -k -a jobs -d "The app's jobs"
complete -c greenlua -n __greenlua_is_jobs -f -a 'list count show retry drop cron work'
complete -c greenlua -n __greenlua_is_attach -s e -x -d "Run only this line there"
complete -c greenlua -n __greenlua_is_doc -f -a '--names --help (__greenlua_names)'
