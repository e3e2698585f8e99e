"""What a venue says of its own API, and whether its answers keep to it.

The descriptions leave room for fields that are not there yet. Here they have none: an answer with a field that its
schema does not have is as wrong as one without a field that it must have.
"""

from __future__ import annotations

import copy
import re

import requests
from jsonschema import Draft202012Validator


def closed(schema):
    """The same schema, in which objects have no other properties than those that are named."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


class Contract:
    """A description in which an operation is found by its method and path, and a schema by its name."""

    def __init__(self, document: dict):
        self.document = document
        self.components = closed(copy.deepcopy(document["components"]["schemas"]))
        self.routes = [
            (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$"), operation)
            for path, operations in document.get("paths", {}).items()
            for method, operation in operations.items()
        ]
        self.validators: dict[str, Draft202012Validator] = {}
        self.seen: set[str] = set()

    @classmethod
    def at(cls, url: str) -> Contract:
        response = requests.get(url, timeout=10)
        assert response.status_code == 200, f"{url}: {response.status_code}"
        return cls(response.json())

    def validator(self, schema: dict) -> Draft202012Validator:
        key = repr(schema)
        if key not in self.validators:
            whole = closed(schema) | {"components": {"schemas": self.components}}
            self.validators[key] = Draft202012Validator(whole)
        return self.validators[key]

    def operation(self, method: str, path: str) -> dict | None:
        found = [operation for verb, route, operation in self.routes if verb == method and route.match(path)]
        return found[0] if found else None

    def check(self, method: str, path: str, status: int, answer) -> None:
        """Holds an answer to the description. An answer to something that is not described must be a refusal."""
        operation = self.operation(method, path)
        if operation is None:
            assert status >= 400, f"{method} {path} is not described"
            return
        described = operation["responses"].get(str(status))
        if described is None:
            assert status >= 400, f"{method} {path} does not say that it answers {status}"
            return
        schema = described["content"]["application/json"]["schema"]
        self.hold(schema, answer, f"{method} {path} {status}")
        if status == 200:
            self.seen.add(operation["operationId"])

    def check_named(self, name: str, answer, what: str = "") -> None:
        self.hold({"$ref": f"#/components/schemas/{name}"}, answer, what or name)
        self.seen.add(name)

    def hold(self, schema: dict, answer, what: str) -> None:
        errors = [f"{error.json_path}: {error.message}" for error in self.validator(schema).iter_errors(answer)]
        assert not errors, f"{what}: {errors[:5]} in {str(answer)[:2000]}"
