"""A Lambda function in Python that calls D1 with the broker's token: boto3 and the standard library, nothing else.

The token record in the secret is a public contract (token-record.schema.json): `access_token` and `expires_at`, seconds
since 1970, are all that is needed. The cache follows `expires_at`; when D1 refuses the token, the secret is read again.
"""

import json
import os
import ssl
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3

ORIGIN = os.environ.get("D1_API_ORIGIN", "https://api.d1.thalescloud.io")
MIN_REMAINING_SECONDS = 30

secrets_manager = boto3.client("secretsmanager")
_cached = None
_opener = None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would take the Authorization header along, wherever a redirect leads."""

    def redirect_request(self, *_):
        return None


def _token(refused=None):
    """The access token from memory while it lives, else from the secret. A refused one is not given again."""
    global _cached
    usable = _cached and _cached["expires_at"] - time.time() > MIN_REMAINING_SECONDS
    if not usable or _cached["access_token"] == refused:
        secret = secrets_manager.get_secret_value(SecretId=os.environ["D1_TOKEN_SECRET_ID"])
        _cached = json.loads(secret["SecretString"])
    if _cached["expires_at"] <= time.time():
        raise RuntimeError("the token in the secret has expired: check the broker and this machine's clock")
    return _cached["access_token"]


def _mutual_tls():
    """An opener that shows the client certificate. Python's ssl reads it from files only."""
    global _opener
    if _opener is None:
        secret = secrets_manager.get_secret_value(SecretId=os.environ["D1_CLIENT_CERTIFICATE_SECRET_ID"])
        certificate = json.loads(secret["SecretString"])
        context = ssl.create_default_context(cadata=certificate.get("ca_bundle"))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(certificate["certificate"] + "\n" + certificate["private_key"])
            file.flush()
            context.load_cert_chain(file.name)
        _opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirect)
    return _opener


def _get(path, token):
    request = urllib.request.Request(ORIGIN + path, headers={"Authorization": f"Bearer {token}"})
    with _mutual_tls().open(request, timeout=10) as response:
        return json.load(response)


def handler(event, _context):
    path = "/banking/v1/issuers/" + urllib.parse.quote(event["issuerId"], safe="")
    token = _token()
    try:
        return _get(path, token)
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        other = _token(refused=token)
        if other == token:
            raise
        return _get(path, other)
