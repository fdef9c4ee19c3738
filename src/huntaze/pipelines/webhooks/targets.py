"""The URL of an endpoint: what of it is looked at before anything is stored or sent."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.webhooks.addresses import why_refused

MAX_URL_CHARS = 2048
URL_REFUSED = "webhook.url_refused"

# A host name (RFC 1123) in ASCII; others are to be given in Punycode. The last label is not a number: a name that ends
# in one is an IPv4 address to somebody, in a notation of long ago.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*(?!\d+$|0x[0-9a-f]*$){_LABEL}")
_VISIBLE = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class TargetPolicy:
    """Where webhooks may go. `insecure` is for a machine of one's own: plain http, any port, private addresses too."""

    ports: frozenset[int] = frozenset({443, 8443})
    insecure: bool = False


@dataclass(frozen=True)
class Target:
    """A URL that was looked at. `host`: a name or an address, without brackets; `path`: with the query."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The `Host` header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def parse_target(url: str, policy: TargetPolicy) -> Target:
    """The parts of an endpoint's URL. Raises Permanent (`webhook.url_refused`), which says what is wrong with it."""
    if len(url) > MAX_URL_CHARS or not _VISIBLE.fullmatch(url):
        raise _refused(f"The URL must be at most {MAX_URL_CHARS} visible ASCII characters.")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower().removesuffix("."), parts.port
    except ValueError:
        raise _refused("This is not a URL.") from None
    if parts.scheme not in (("https", "http") if policy.insecure else ("https",)):
        raise _refused("The URL must begin with https://.")
    if "@" in parts.netloc or "\\" in url:
        raise _refused("The URL must not hold a user, a password or a backslash.")
    if "#" in url:
        raise _refused("The URL must not hold a fragment.")
    secure = parts.scheme == "https"
    port = (443 if secure else 80) if port is None else port
    if port not in policy.ports and not (policy.insecure and port):
        raise _refused(f"The port must be one of {', '.join(map(str, sorted(policy.ports)))}.")
    _check_host(host, policy)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port, path)


def _check_host(host: str, policy: TargetPolicy) -> None:
    if ":" in host or re.fullmatch(r"[0-9.]+", host):
        why = why_refused(host)
        if why and not (policy.insecure and not why.startswith("not an address")):
            raise _refused(f"No webhook goes to this address: {why}.")
    elif not _NAME.fullmatch(host):
        raise _refused("The URL's host is not a host name; one that is not ASCII is to be given in Punycode.")
    elif not policy.insecure and ("." not in host or host.endswith((".localhost", ".local", ".internal"))):
        raise _refused("The URL's host is a name of a private network.")


def _refused(message: str) -> Permanent:
    return Permanent(URL_REFUSED, message)
