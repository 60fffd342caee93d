"""Where requests may go. The address that is connected to is the one that was checked: names are resolved
here, once, so a name that answers differently the second time gains nothing."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, cast

import httpcore
import httpx

from dfc.executor import limits

_Address = IPv4Address | IPv6Address

_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# A public address that is not: Azure's virtual host, with the machine's own metadata.
_METADATA: Final = frozenset({ipaddress.ip_address("168.63.129.16")})


class Denied(Exception):
    """The policy forbids the address. `entry` is what would have to be on the allow-list."""

    def __init__(self, host: str, port: int, reason: str, entry: str) -> None:
        super().__init__(f"requests to {host}:{port} are not allowed: {reason}")
        self.entry = entry


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundPolicy:
    """Which hosts may be reached: those of the list, and no other.

    A name without a port leads to public addresses only, so that whoever answers for the name in the DNS does
    not get into this network; an address, or a name with its port, leads wherever it leads.

    Args:
        allow_hosts: `host` or `host:port` (an IPv6 address in brackets), names or addresses.
        allow_loopback: also this machine's loopback addresses and `localhost`, any port.
    """

    allow_hosts: tuple[str, ...] = ()
    allow_loopback: bool = False

    def reason_against_host(self, host: str, port: int) -> str | None:
        """Why `host` must not even be looked up; None when its address decides."""
        named = _canonical(host)
        if self._entry(named, port) is not None or (self.allow_loopback and _may_be_loopback(named)):
            return None
        return "the host is not on the allow-list"

    def reason_against(self, host: str, port: int, address: str) -> str | None:
        """Why `host`, resolved to `address`, must not be connected to; None when it may."""
        if (reason := self.reason_against_host(host, port)) is not None:
            return reason
        named = _canonical(host)
        entry = self._entry(named, port)
        if entry is not None and (entry[1] is not None or _address_of(named) is not None):
            return None
        real = _undisguised(ipaddress.ip_address(address.partition("%")[0]))
        if real.is_loopback:
            return None if self.allow_loopback else f"{real} is a loopback address"
        return _not_public(real) if entry is not None else "the host is not on the allow-list"

    def is_open_loopback(self, host: str, port: int) -> bool:
        """Whether nothing but `allow_loopback` lets `host` through."""
        return self._entry(_canonical(host), port) is None

    def _entry(self, named: str, port: int) -> tuple[str, int | None] | None:
        """The entry of the list that fits; one with a port before one without."""
        fitting = [
            (host, only)
            for host, only in map(_split, self.allow_hosts)
            if host == named and only in (None, port)
        ]
        return max(fitting, key=lambda entry: entry[1] is not None, default=None)


def guarded_transport(
    policy: OutboundPolicy, context: ssl.SSLContext, *, reuse: bool, on_loopback: Callable[[], None]
) -> httpx.AsyncHTTPTransport:
    """A transport of HTTP/1.1 and 2 that connects only where the policy allows.

    `reuse` keeps idle connections for later requests. A server may close such a connection in the moment in
    which a request is sent on it; then nobody knows whether the request was processed.
    `on_loopback` is called before each connection that only `allow_loopback` allows.
    """
    transport = httpx.AsyncHTTPTransport(verify=context, http1=True, http2=True, trust_env=False)
    # httpx has no parameter for httpcore's network backend; the pool is replaced by one that has ours.
    transport._pool = httpcore.AsyncConnectionPool(  # pyright: ignore[reportPrivateUsage]
        ssl_context=context,
        max_connections=limits.HTTP_WORKER_REQUESTS_MAX,
        max_keepalive_connections=20 if reuse else 0,
        keepalive_expiry=5.0,
        http1=True,
        http2=True,
        network_backend=_GuardedBackend(policy, on_loopback),
    )
    return transport


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, policy: OutboundPolicy, on_loopback: Callable[[], None]) -> None:
        self._policy = policy
        self._on_loopback = on_loopback
        self._inner = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if (reason := self._policy.reason_against_host(host, port)) is not None:
            raise Denied(host, port, reason, _entry_for(host, port))
        addresses = await self._resolve(host, port, timeout)
        reasons = {address: self._policy.reason_against(host, port, address) for address in addresses}
        open_to = [address for address, reason in reasons.items() if reason is None]
        if not open_to:
            reason = next((reason for reason in reasons.values() if reason), "no address")
            raise Denied(host, port, reason, _with_port(host, port))
        if self._policy.is_open_loopback(host, port):
            self._on_loopback()
        problem: Exception | None = None
        for address in open_to:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        assert problem is not None
        raise problem

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("unix sockets are not allowed")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _resolve(self, host: str, port: int, seconds: float | None) -> list[str]:
        try:
            async with asyncio.timeout(seconds):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"the name {host} was not resolved in time") from None
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} cannot be resolved: {error}") from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _split(allowed: str) -> tuple[str, int | None]:
    """Host and port of an entry of the allow-list; the host as `_canonical` writes it."""
    text = allowed.strip()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return _canonical(host), int(rest[1:]) if rest[:1] == ":" and rest[1:].isdecimal() else None
    host, colon, port = text.rpartition(":")
    if colon and ":" not in host and port.isdecimal():
        return _canonical(host), int(port)
    return _canonical(text), None


def _canonical(host: str) -> str:
    """A host as it is compared: lower case, no brackets, no dot at the end, addresses in their short form."""
    text = host.lower().rstrip(".").strip("[]")
    return str(_address_of(text) or text)


def _address_of(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _may_be_loopback(named: str) -> bool:
    """Whether a name is this machine's by its own words, so that it may be looked up."""
    address = _address_of(named)
    if address is not None:
        return _undisguised(address).is_loopback
    return named == "localhost" or named.endswith(".localhost")


def _entry_for(host: str, port: int) -> str:
    """The narrowest entry that may let a host through: a name alone, so that its address is checked."""
    named = _canonical(host)
    if _address_of(named) is None and not _may_be_loopback(named):
        return host
    return _with_port(host, port)


def _with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _undisguised(address: _Address) -> _Address:
    """The IPv4 address inside an IPv6 one that leads to it."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _SIX_TO_FOUR and address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _not_public(address: _Address) -> str | None:
    if address in _METADATA:
        return f"{address} is a metadata service"
    if address.is_multicast:
        return f"{address} is a multicast address"
    if address.is_link_local:
        return f"{address} is a link-local address"
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_V6 or address in _TEREDO):
        return f"{address} is not a public address"
    if address.is_private or address.is_reserved or address.is_unspecified or not address.is_global:
        return f"{address} is not a public address"
    return None
