package import MeshCore
package import MeshHTTP

/// An answer that sends the client elsewhere (Gateway API, HTTPRequestRedirectFilter), ready to write.
///
/// The location is always an absolute URI: a relative one whose path begins with two slashes would name another host.
package struct CompiledRedirect: Sendable {
  package let status: UInt16
  private let isHTTPS: Bool?
  private let host: [UInt8]?
  private let path: CompiledPathModifier?
  private let port: UInt16?

  package init(_ redirect: RequestRedirect) {
    status = (300...399).contains(redirect.status) ? redirect.status : 302
    isHTTPS = redirect.scheme.map { $0.lowercased() == "https" }
    host = redirect.hostname.flatMap { $0.isHostname ? Array($0.utf8) : nil }
    path = redirect.path.map(CompiledPathModifier.init)
    port = redirect.port
  }

  /// Appends `Location` to `reply`. `service` is what the client asked: its port is the one dialled, its name stands in for a
  /// request of HTTP/1.0 that names no host.
  package func writeLocation(for request: MessageHead, to service: ServicePort, into reply: MessageHead) {
    let isHTTPS = isHTTPS ?? request.bytes(request.scheme).equals("https")
    let wellKnown: UInt16 = isHTTPS ? 443 : 80
    let port = port ?? (self.isHTTPS == nil ? service.port : wellKnown)
    let start = reply.byteCount
    reply.intern(isHTTPS ? "https://" : "http://")
    writeHost(of: request, service, into: reply)
    if port != wellKnown {
      reply.intern(":")
      _ = withDecimal(Int(port)) { reply.intern($0) }
    }
    let target = request.bytes(path?.path(of: request) ?? request.path)
    // The asterisk of OPTIONS stands for no path at all (RFC 9112, section 3.2.4).
    if target.count > 0, target[0] == UInt8(ascii: "/") { reply.intern(target) }
    let value = MessageHead.Slice(offset: start, length: reply.byteCount - start)
    reply.append(.init(name: reply.intern(HeaderToken.location.name), value: value, token: .location))
  }

  private func writeHost(of request: MessageHead, _ service: ServicePort, into reply: MessageHead) {
    if let host {
      _ = host.withUnsafeBytes { reply.intern($0) }
      return
    }
    let asked = request.bytes(request.authority).withoutPort
    if asked.isEmpty { reply.intern(string: service.service.description) } else { reply.intern(asked) }
  }
}

extension UnsafeRawBufferPointer {
  /// An authority's host; the colons of an IPv6 address stand in brackets.
  var withoutPort: UnsafeRawBufferPointer {
    var end = count
    while end > 0 {
      end &-= 1
      if self[end] == UInt8(ascii: "]") { return self }
      if self[end] == UInt8(ascii: ":") { return slice(0, end) }
    }
    return self
  }
}
