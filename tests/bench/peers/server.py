"""A credential server as people write one: boto3 assumes a role, http.server answers whoever has the token.

usage: server.py ROLE PORT_FILE TOKEN
"""
import http.server
import json
import os
import sys

import boto3

role, port_file, token = sys.argv[1:]
answer = boto3.client("sts", region_name="eu-west-1").assume_role(RoleArn=role, RoleSessionName="bench")["Credentials"]
body = json.dumps({
    "AccessKeyId": answer["AccessKeyId"],
    "SecretAccessKey": answer["SecretAccessKey"],
    "Token": answer["SessionToken"],
    "Expiration": answer["Expiration"].isoformat(),
}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.headers.get("authorization") == token
        self.send_response(200 if good else 403)
        self.send_header("content-length", str(len(body) if good else 0))
        self.end_headers()
        if good:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(port_file + ".new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(port_file + ".new", port_file)
server.serve_forever()
