/// Number of a stream (RFC 9113, section 5.1.1): odd ones are opened by the client, 0 is the connection itself.
package struct HTTP2StreamID: Hashable, Sendable {
  package let rawValue: UInt32

  @inlinable package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// 2^31-1: in a GOAWAY it announces a shutdown without refusing anything yet (RFC 9113, section 6.8).
  package static let maximum = HTTP2StreamID(rawValue: 0x7FFF_FFFF)
}
