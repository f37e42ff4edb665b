"""Calls D1 with the broker's token: boto3, and urllib3, which boto3 brings. docs/contract.md has the rules."""

import hashlib
import json
import logging
import random
import re
import ssl
import tempfile
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

MIN_REMAINING_SECONDS = 30  # With less left, the caller waits for a better token, and gets this one if there is none.
REFRESH_AHEAD_SECONDS = 180  # The broker has the next token 240-300 s ahead.
RETRY_SECONDS = 10
YOUNG_SECONDS = 60  # D1 does not refuse a token this young because it is old: another would not help.
CERTIFICATE_SECONDS = 3600

log = logging.getLogger(__name__)


class NoToken(Exception):
    """No source has a token that lives. The message may be logged."""


class BrokerFailed(NoToken):
    def __init__(self, code, retry_after_seconds):
        super().__init__(f"the broker answered with {code}")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class Token:
    text: str = field(repr=False)
    expires_at: int
    obtained_at: int


def parse_token(text):
    """The token of a record: the secret's text, or the broker's answer."""
    record = _json(text)
    if isinstance(record, dict) and record.get("schema_version") == 1:
        token, expires_at, obtained_at = (record.get(name) for name in ("access_token", "expires_at", "obtained_at"))
        visible = isinstance(token, str) and re.fullmatch("[!-~]+", token)
        if visible and isinstance(expires_at, int) and isinstance(obtained_at, int):
            return Token(token, expires_at, obtained_at)
    raise NoToken("what should be a token record is none")


class D1Client:
    """One for the process, shared by its threads: it is the cache."""

    def __init__(self, *, origin, token_secret, certificate_secret, broker_function=None):
        self._origin = origin
        self._token_secret = token_secret
        self._certificate_secret = certificate_secret
        self._broker_function = broker_function
        impatient = Config(connect_timeout=1, read_timeout=4, retries={"total_max_attempts": 2})
        self._secrets = boto3.client("secretsmanager", config=impatient)
        # The broker may have to ask D1 first.
        patient = Config(connect_timeout=1, read_timeout=30, retries={"total_max_attempts": 1})
        self._lambda = boto3.client("lambda", config=patient) if broker_function else None
        self._lock = threading.Lock()
        self._under_way = {}
        self._clock_offset = 0.0
        self._held = None
        self._look_at = 0.0
        self._refused = None
        self._search_at = 0.0
        self._pool = None
        self._pool_until = 0.0

    def get(self, path):
        """Status and body. A 401 is tried again, once, if there is another token."""
        if not path.startswith("/"):
            raise ValueError("the path must begin with a slash: the token is for this origin only")
        token = self._token()
        response = self._send(path, token)
        if response.status == 401:
            replacement = self._replacement_of(token)
            if replacement:
                response = self._send(path, replacement)
        return response.status, response.data

    def _token(self):
        """The token in memory until it is due; then one caller looks for the next."""
        with self._lock:
            left = self._seconds_left()
            fresh = left > 0 and self._now() < self._look_at
            # While somebody looks, the others go on with a token that lives.
            if fresh or (left > MIN_REMAINING_SECONDS and "look" in self._under_way):
                return self._held
            future, mine = self._join("look")
        return self._finish("look", future, mine, self._look)

    def _look(self):
        """Asks the secret, then the broker. A failure costs nothing while a token lives."""
        before = self._held
        failure = self._keep_from(self._read_token_secret)
        if self._seconds_left() <= MIN_REMAINING_SECONDS and self._broker_function:
            failure = self._keep_from(self._ask_broker) or failure
        with self._lock:
            if self._held is before:
                self._look_at = self._now() + _jittered(RETRY_SECONDS)
            if self._seconds_left() > 0:
                return self._held
        raise failure or NoToken("the newest token has expired: look at the broker's alarms")

    def _replacement_of(self, token):
        """A token newer than every refused one; or None, and then the 401 stands."""
        with self._lock:
            if not self._refused or token.obtained_at >= self._refused.obtained_at:
                self._refused = token
            if not self._is_refused(self._held):
                return self._held
            if "search" not in self._under_way and self._now() < self._search_at:
                return None
            future, mine = self._join("search")
        return self._finish("search", future, mine, self._search)

    def _search(self):
        wait = _jittered(RETRY_SECONDS)
        self._keep_from(self._read_token_secret)
        if self._is_refused(self._held) and self._broker_function:
            refused = self._refused
            digest = hashlib.sha256(refused.text.encode()).hexdigest()[:16]
            failure = self._keep_from(lambda: self._ask_broker(newer_than=refused.obtained_at, refused=digest))
            if isinstance(failure, BrokerFailed) and failure.retry_after_seconds:
                wait = failure.retry_after_seconds
            elif not self._is_refused(self._held):
                wait = YOUNG_SECONDS
        with self._lock:
            self._search_at = self._now() + wait
            if not self._is_refused(self._held):
                return self._held
            # The secret is read again meanwhile: somebody else's 401 may have brought a new token.
            self._look_at = min(self._look_at, self._now() + _jittered(RETRY_SECONDS))
            return None

    def _keep_from(self, source):
        """Keeps the better of two tokens: not refused, then longer-lived. Returns why there was nothing to keep."""
        try:
            token = source()
        except (NoToken, BotoCoreError, ClientError) as failure:
            log.warning("no token: %s", failure)
            return failure
        with self._lock:
            if not self._held or self._rank(token) > self._rank(self._held):
                self._held = token
                self._look_at = token.expires_at - REFRESH_AHEAD_SECONDS * random.uniform(0.75, 1)
        return None

    def _rank(self, token):
        return (not self._is_refused(token), token.expires_at)

    def _is_refused(self, token):
        """By its text too: D1 may give the same token again, and that is obtained later."""
        refused = self._refused
        return bool(refused) and (token.obtained_at <= refused.obtained_at or token.text == refused.text)

    def _read_token_secret(self):
        secret = self._secrets.get_secret_value(SecretId=self._token_secret)
        # `expires_at` is counted on AWS's clock, and every answer tells its time to the second.
        date = secret["ResponseMetadata"]["HTTPHeaders"].get("date")
        if date:
            self._clock_offset = parsedate_to_datetime(date).timestamp() - time.time()
        return parse_token(secret.get("SecretString", ""))

    def _ask_broker(self, **refusal):
        event = {"action": "token", "min_remaining_seconds": MIN_REMAINING_SECONDS, **refusal}
        answer = self._lambda.invoke(FunctionName=self._broker_function, Payload=json.dumps(event))
        payload = answer["Payload"].read()
        if "FunctionError" not in answer:
            return parse_token(payload)
        error = _json(payload) or {}
        named = re.search(r"\bretry_after_seconds=(\d+)", error.get("errorMessage") or "")
        raise BrokerFailed(error.get("errorType"), min(int(named[1]), 60) if named else None)

    def _now(self):
        return time.time() + self._clock_offset

    def _seconds_left(self):
        return self._held.expires_at - self._now() if self._held else 0

    def _join(self, name):
        """With the lock held: what is under way, or a new beginning."""
        future = self._under_way.get(name)
        if future:
            return future, False
        self._under_way[name] = Future()
        return self._under_way[name], True

    def _finish(self, name, future, mine, work):
        if mine:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
            finally:
                with self._lock:
                    del self._under_way[name]
        return future.result()

    def _send(self, path, token):
        headers = {"Authorization": f"Bearer {token.text}"}
        # No redirects: they would take the token along, wherever they lead.
        return self._mutual_tls().request(
            "GET", self._origin + path, headers=headers, redirect=False, retries=False, timeout=10
        )

    def _mutual_tls(self):
        """Connections with the client certificate, which is read every hour, so a renewal needs no restart."""
        with self._lock:
            if time.monotonic() < self._pool_until:
                return self._pool
            self._pool_until = time.monotonic() + CERTIFICATE_SECONDS
            try:
                secret = self._secrets.get_secret_value(SecretId=self._certificate_secret)
                self._pool = urllib3.PoolManager(maxsize=32, ssl_context=_tls_context(secret["SecretString"]))
            except (BotoCoreError, ClientError) as failure:
                self._pool_until = time.monotonic() + _jittered(RETRY_SECONDS)
                if not self._pool:
                    raise
                log.warning("the client certificate was not read again: %s", failure)
            return self._pool


def _tls_context(text):
    secret = _json(text) or {}
    context = ssl.create_default_context(cadata=secret.get("ca_bundle"))
    # Python's ssl reads a key from a file only; this one is readable for nobody else, and gone at once.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(secret["certificate"] + "\n" + secret["private_key"])
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _json(text):
    """None for what is no JSON: the parser's own error holds the text, and that is a secret."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _jittered(seconds):
    return seconds * random.uniform(0.5, 1.5)
