"""Asks D1 for the issuer on each line of standard input, all at once."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from d1_client import D1Client

d1 = D1Client(
    origin=os.environ.get("D1_API_ORIGIN", "https://api.d1.thalescloud.io"),
    token_secret=os.environ["D1_TOKEN_SECRET_ID"],
    certificate_secret=os.environ["D1_CLIENT_CERTIFICATE_SECRET_ID"],
    broker_function=os.environ.get("D1_BROKER_FUNCTION_NAME"),
)


def show(issuer_id):
    try:
        status, body = d1.get("/banking/v1/issuers/" + quote(issuer_id, safe=""))
        answer = json.loads(body)["status"] if status == 200 else f"D1 answered {status}"
    except Exception as error:
        answer = f"failed: {error}"
    sys.stdout.write(f"{issuer_id}: {answer}\n")
    sys.stdout.flush()


with ThreadPoolExecutor(max_workers=32) as pool:
    for line in sys.stdin:
        pool.submit(show, line.strip())
