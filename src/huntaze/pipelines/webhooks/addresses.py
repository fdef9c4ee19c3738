"""Which addresses a webhook may go to: all that is not special.

Every entry of IANA's special-purpose registries for IPv4 and IPv6 is refused, those included that are reachable from
everywhere (anycast relays, sinks): no receiver lives there. So are multicast, what is reserved, and every form that
carries an IPv4 address within an IPv6 one, whatever that address is: where a translator sends it is decided elsewhere.
`ipaddress.is_private` and `is_global` answer other questions, differently from one Python to the next.
"""

import ipaddress
from ipaddress import IPv4Network, IPv6Network

_V4 = {
    "0.0.0.0/8": "this network, RFC 791",
    "10.0.0.0/8": "private, RFC 1918",
    "100.64.0.0/10": "shared by a carrier's customers (CGNAT), RFC 6598",
    "127.0.0.0/8": "loopback, RFC 1122",
    "169.254.0.0/16": "link-local and clouds' metadata, RFC 3927",
    "172.16.0.0/12": "private, RFC 1918",
    "192.0.0.0/24": "protocol assignments, RFC 6890: DS-Lite RFC 6333, PCP RFC 7723, TURN RFC 8155",
    "192.0.2.0/24": "documentation (TEST-NET-1), RFC 5737",
    "192.31.196.0/24": "AS112, a sink of DNS queries, RFC 7535",
    "192.52.193.0/24": "multicast tunnels (AMT), RFC 7450",
    "192.88.99.0/24": "6to4 relays, deprecated, RFC 7526; 192.88.99.2/32 6a44, RFC 6751",
    "192.168.0.0/16": "private, RFC 1918",
    "192.175.48.0/24": "AS112, a sink of DNS queries, RFC 7534",
    "198.18.0.0/15": "benchmarking, RFC 2544",
    "198.51.100.0/24": "documentation (TEST-NET-2), RFC 5737",
    "203.0.113.0/24": "documentation (TEST-NET-3), RFC 5737",
    "224.0.0.0/4": "multicast, RFC 5771; 233.252.0.0/24 documentation, RFC 6676",
    "240.0.0.0/4": "reserved, RFC 1112",
    "255.255.255.255/32": "limited broadcast, RFC 8190",
}
_V6 = {
    "::/128": "unspecified, RFC 4291",
    "::1/128": "loopback, RFC 4291",
    "::/96": "IPv4-compatible, deprecated, RFC 4291",
    "::ffff:0:0/96": "IPv4-mapped, RFC 4291",
    "::ffff:0:0:0/96": "IPv4-translated, RFC 2765",
    "64:ff9b::/96": "IPv4 behind NAT64, RFC 6052",
    "64:ff9b:1::/48": "IPv4 behind a local NAT64, RFC 8215",
    "100::/64": "discarded, RFC 6666",
    "100:0:0:1::/64": "dummy prefix, RFC 9780",
    "200::/7": "OSI addresses, deprecated, RFC 4048",
    "2001::/32": "IPv4 behind Teredo, RFC 4380",
    "2001:2::/48": "benchmarking, RFC 5180",
    "2001:10::/28": "ORCHID, deprecated, RFC 4843",
    "2001:20::/28": "ORCHIDv2, RFC 7343",
    "2001:30::/28": "drones' identities, RFC 9374",
    "2001::/23": "protocol assignments, RFC 2928: PCP RFC 7723, TURN RFC 8155, AMT RFC 7450, AS112 RFC 7535",
    "2001:db8::/32": "documentation, RFC 3849",
    "2002::/16": "IPv4 behind 6to4, RFC 3056",
    "2620:4f:8000::/48": "AS112, a sink of DNS queries, RFC 7534",
    "3ffe::/16": "the 6bone, returned, RFC 3701",
    "3fff::/20": "documentation, RFC 9637",
    "5f00::/16": "segment routing, RFC 9602",
    "fc00::/7": "unique local, RFC 4193",
    "fe80::/10": "link-local, RFC 4291",
    "fec0::/10": "site-local, deprecated, RFC 3879",
    "ff00::/8": "multicast, RFC 4291",
}
# ISATAP (RFC 5214) hides an IPv4 address in the interface's half of any prefix: ...:[02]00:5efe:a.b.c.d
_ISATAP = 0x5EFE

REFUSED: dict[IPv4Network | IPv6Network, str] = {
    **{IPv4Network(network): why for network, why in _V4.items()},
    **{IPv6Network(network): why for network, why in _V6.items()},
}


def why_refused(text: str) -> str | None:
    """Why no webhook goes to this address, as a person would say it; None for one that is public.

    Only the usual notation is an address: `0x7f.1`, `127.1`, `2130706433`, leading zeros and zones are refused.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "not an address in the usual notation"
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "an address with a zone, RFC 4007"
        if (int(address) >> 32) & 0xFDFFFFFF == _ISATAP:
            return "IPv4 behind ISATAP, RFC 5214"
    found = [network for network in REFUSED if network.version == address.version and address in network]
    return REFUSED[max(found, key=lambda network: network.prefixlen)] if found else None
