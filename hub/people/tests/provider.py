"""A small OpenID Connect provider of its own: real keys, real tokens, on loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "hub", "the hub's secret"


@dataclass
class Provider:
    """What it would say of whoever comes, and what it was asked."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    # Beside `claims`, in the token alone.
    token_claims: dict[str, Any] = field(default_factory=dict)
    issuer: str = ""
    audience: str = CLIENT
    asked: list[str] = field(default_factory=list)
    is_away: bool = False
    _codes: dict[str, str] = field(default_factory=dict)
    _tokens: set[str] = field(default_factory=set)
    _key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(65537, 2048)
    )

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer or self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Return where the browser goes next: back, with a code."""
        code = secrets.token_urlsafe(16)
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        self._codes[code] = query["code_challenge"]
        back = {"code": code, "state": query["state"]}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def token(self, form: dict[str, str]) -> dict[str, Any] | None:
        """Change a code for tokens, once, for whoever has made it."""
        challenge = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        shown = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge != shown or form.get("client_secret") != SECRET:
            return None
        access = secrets.token_urlsafe(16)
        self._tokens.add(access)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": self.audience,
            "iat": now,
            "exp": now + 300,
            **self.claims,
            **self.token_claims,
        }
        signed = jwt.encode(claims, self._key, "RS256", headers={"kid": "1"})
        return {"access_token": access, "token_type": "Bearer", "id_token": signed}

    def userinfo(self, bearer: str) -> dict[str, Any] | None:
        return self.claims if bearer in self._tokens else None


@contextmanager
def serving() -> Iterator[Provider]:
    """Run one on a free port."""
    provider = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.asked.append(parts.path)
            query = {name: said[0] for name, said in parse_qs(parts.query).items()}
            if provider.is_away:
                self.send_error(503)
            elif parts.path == "/.well-known/openid-configuration":
                self._say(provider.configuration())
            elif parts.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize(query))
                self.end_headers()
            elif parts.path == "/userinfo":
                bearer = self.headers["Authorization"].removeprefix("Bearer ")
                self._say(provider.userinfo(bearer))
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: said[0] for name, said in parse_qs(text).items()}
            self._say(provider.token(form))

        def _say(self, said: dict[str, Any] | None) -> None:
            body = json.dumps({"error": "invalid_grant"} if said is None else said)
            self.send_response(400 if said is None else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            pass

    return Handler
