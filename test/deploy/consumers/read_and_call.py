"""A consumer in Python: reads the token secret with boto3, and calls the D1 API over mutual TLS.

What it needs comes on standard input as JSON, because a private key must not lie about in a file: secret_id, url, and
certificate, private_key and ca_bundle as PEM. AWS credentials, Region and endpoint come from the environment, as ever.
"""

import http.client
import json
import os
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

import boto3


def pipe(text: str) -> str:
    """A path from which `text` can be read once: ssl loads a certificate and its key from files only."""
    read_end, write_end = os.pipe()

    def write() -> None:
        with os.fdopen(write_end, "w") as stream:
            stream.write(text)

    threading.Thread(target=write, daemon=True).start()
    return f"/dev/fd/{read_end}"


wanted = json.load(sys.stdin)

secret = boto3.client("secretsmanager").get_secret_value(SecretId=wanted["secret_id"])
token = json.loads(secret["SecretString"])
if token["expires_at"] <= time.time():
    sys.exit("the stored token has expired")

context = ssl.create_default_context(cadata=wanted["ca_bundle"])
context.load_cert_chain(pipe(wanted["certificate"]), pipe(wanted["private_key"]))
url = urlsplit(wanted["url"])
connection = http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=20)
connection.request("GET", url.path, headers={"Authorization": f"Bearer {token['access_token']}"})
response = connection.getresponse()
print(json.dumps({"status": response.status, "body": json.load(response)}))
