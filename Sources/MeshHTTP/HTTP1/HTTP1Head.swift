/// How the content of a message is delimited on an HTTP/1 connection (RFC 9112, section 6.3).
package enum BodyFraming: Equatable, Sendable {
  /// No content follows the head.
  case none
  /// Exactly this many bytes follow.
  case length(UInt64)
  /// `Transfer-Encoding: chunked`.
  case chunked
  /// A response that lasts until the connection closes.
  case untilClose
  /// After 101, or a 2xx to CONNECT: no HTTP any more, bytes in both directions until the connection closes.
  case tunnel

  /// True when not a byte of content can follow.
  package var isEmpty: Bool { self == .none || self == .length(0) }
}

/// What the head of an HTTP/1 message means for its connection. A plain value beside the `MessageHead`.
package struct HTTP1Head: Equatable, Sendable {
  package var framing = BodyFraming.none
  /// The connection may carry another message after this one (RFC 9112, section 9.3).
  package var keepAlive = true
  /// The client waits for `100 Continue` before it sends its content (RFC 9110, section 10.1.1).
  package var expectsContinue = false
  /// `Connection: upgrade` with an `Upgrade` field, HTTP/1.1 only. Upgrades to `h2c` are not offered on.
  package var isUpgrade = false
  /// `Connection: Upgrade, HTTP2-Settings` with `Upgrade: h2c` (RFC 7540, section 3.2), HTTP/1.1 only. Whether the
  /// settings are there and whole is for `MessageHead.upgradeSettings` to say.
  package var offersHTTP2 = false

  package init() {}
}
