"""Where requests may go. The address that is connected to is the one that was checked: names are resolved
here, once, so a name that answers differently the second time gains nothing."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, cast

import httpcore
import httpx

_Address = IPv4Address | IPv6Address

_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# A public address that is not: Azure's virtual host, with the machine's own metadata.
_METADATA: Final = frozenset({ipaddress.ip_address("168.63.129.16")})


class Denied(Exception):
    """The policy forbids the address."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"requests to {host}:{port} are not allowed: {reason}")
        self.host = host
        self.port = port


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundPolicy:
    """Which hosts may be reached beyond the public Internet.

    Args:
        allow_hosts: `host` or `host:port` (an IPv6 address in brackets), names or addresses.
        allow_loopback: this machine's loopback addresses, any port.
    """

    allow_hosts: tuple[str, ...] = ()
    allow_loopback: bool = False

    def reason_against(self, host: str, port: int, address: str) -> str | None:
        """Why `host`, resolved to `address`, must not be connected to; None when it may."""
        named = host.lower().rstrip(".").strip("[]")
        for allowed in self.allow_hosts:
            allowed_host, allowed_port = _split(allowed)
            if allowed_host == named and allowed_port in (None, port):
                return None
        real = _undisguised(ipaddress.ip_address(address.partition("%")[0]))
        if real.is_loopback:
            return None if self.allow_loopback else "it is this machine's loopback address"
        return _not_public(real)


def guarded_transport(policy: OutboundPolicy, *, reuse: bool) -> httpx.AsyncHTTPTransport:
    """A transport of HTTP/1.1 and 2 that connects only where the policy allows.

    `reuse` keeps idle connections for later requests. A server may close such a connection in the moment in
    which a request is sent on it; then nobody knows whether the request was processed.
    """
    transport = httpx.AsyncHTTPTransport(http1=True, http2=True, trust_env=False)
    # httpx has no parameter for httpcore's network backend; the pool is replaced by one that has ours.
    transport._pool = httpcore.AsyncConnectionPool(  # pyright: ignore[reportPrivateUsage]
        ssl_context=ssl.create_default_context(),
        max_connections=100,
        max_keepalive_connections=20 if reuse else 0,
        keepalive_expiry=5.0,
        http1=True,
        http2=True,
        network_backend=_GuardedBackend(policy),
    )
    return transport


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, policy: OutboundPolicy) -> None:
        self._policy = policy
        self._inner = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port, timeout)
        reasons = {address: self._policy.reason_against(host, port, address) for address in addresses}
        open_to = [address for address, reason in reasons.items() if reason is None]
        if not open_to:
            raise Denied(host, port, next((reason for reason in reasons.values() if reason), "no address"))
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
    """Host and port of an entry of the allow-list; the host in lower case, without brackets."""
    text = allowed.strip().lower()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest[1:]) if rest[:1] == ":" and rest[1:].isdecimal() else None
    host, colon, port = text.rpartition(":")
    if colon and ":" not in host and port.isdecimal():
        return host.rstrip("."), int(port)
    return text.rstrip("."), None


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
