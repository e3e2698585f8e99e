"""The three kinds of API key, and how each signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, replace
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa


@dataclass(frozen=True)
class KeyPair:
    """An API key: its kind, the name that the venue gave it, and what it signs with."""

    kind: str
    api_key: str | None = None
    secret: str | None = None
    private_pem: str | None = None
    public_pem: str | None = None

    @classmethod
    def hmac(cls) -> KeyPair:
        """A key whose secret the venue draws."""
        return cls("hmac")

    @classmethod
    def ed25519(cls) -> KeyPair:
        return cls._of("ed25519", ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def rsa(cls) -> KeyPair:
        return cls._of("rsa", rsa.generate_private_key(public_exponent=65537, key_size=2048))

    @classmethod
    def _of(cls, kind: str, private) -> KeyPair:
        private_pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public_pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(kind, private_pem=private_pem.decode(), public_pem=public_pem.decode())

    def registered(self, api_key: str, secret: str | None) -> KeyPair:
        return replace(self, api_key=api_key, secret=secret)

    def sign(self, payload: str) -> str:
        data = payload.encode()
        if self.kind == "hmac":
            return hmac.new(self.secret.encode(), data, hashlib.sha256).hexdigest()
        private = _load(self.private_pem)
        signed = (
            private.sign(data) if self.kind == "ed25519" else private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        )
        return base64.b64encode(signed).decode()


@cache
def _load(pem: str):
    return serialization.load_pem_private_key(pem.encode(), password=None)
