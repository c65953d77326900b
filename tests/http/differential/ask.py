# SPDX-License-Identifier: MIT
# What Python's http.client makes of each answer; as ask.js.
import http.client
import json
import sys


def ask(host, port, line):
    method, path = line.split()
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return {"status": answer.status, "x": answer.getheader("X"), "body": answer.read().decode("latin-1")}
    except Exception as error:
        return {"error": type(error).__name__}
    finally:
        connection.close()


host, port = sys.argv[1].removeprefix("http://").split(":")
for each in sys.stdin.read().splitlines():
    print(json.dumps(ask(host, port, each)))
