/// The settings one side announces (RFC 9113, section 6.5.2). Sizes in bytes.
package struct HTTP2Settings: Sendable {
  package var headerTableSize: UInt32 = 4096
  /// Streams the other side may have open with us at once.
  package var maximumConcurrentStreams: UInt32 = 1024
  /// Receive window of a new stream, at most 2^31-1.
  package var initialWindowSize: UInt32 = 1 << 20
  /// Largest frame payload accepted, 2^14 ... 2^24-1.
  package var maximumFrameSize: UInt32 = 16384
  /// Decoded size of a field section, 32 bytes of overhead per field included.
  package var maximumHeaderListSize: UInt32 = 61440
  /// RFC 8441 extended CONNECT; announced by servers only.
  package var enableConnectProtocol = false

  package init() {}
}
