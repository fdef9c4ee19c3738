"""Under which name an answer is kept."""

import hashlib
import json
import unicodedata

from huntaze.pipelines.ai.calls import Caller, ChatRequest
from huntaze.pipelines.ai.deployments import Deployment


def scope_of(caller: Caller) -> str:
    """Who may be given the answer again: everybody, the creator alone, or the platform's own jobs."""
    if caller.shared:
        return "shared"
    return "platform" if caller.creator_id is None else f"creator:{caller.creator_id}"


def cache_key(deployment: Deployment, request: ChatRequest, caller: Caller) -> str:
    """The same for the same question to the same model for the same eyes; 64 hexadecimal digits.

    Texts are compared in Unicode's composed form and without the space around them.
    """
    question = {
        "scope": scope_of(caller),
        "role": request.role,
        "model": deployment.identity,
        "version": request.prompt_version,
        "prompt": _normal(request.prompt),
        "system": _normal(request.system or ""),
        "image": None if request.image is None else hashlib.sha256(request.image).hexdigest(),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "schema": request.schema,
    }
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
