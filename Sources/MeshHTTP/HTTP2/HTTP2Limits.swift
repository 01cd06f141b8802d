/// Bounds on what one peer may cost us; a peer past one of them loses the connection with ENHANCE_YOUR_CALM, unless said
/// otherwise. `HTTP2Limit` has the names they are counted under; docs/design/0003-abuse-budgets.md compares them with
/// other proxies'.
package struct HTTP2Limits: Sendable {
  /// Fields of one head or trailer section, cookie crumbs counted one by one. Past it the stream is reset.
  package var maximumFields = 100
  /// CONTINUATION frames of one field block (CVE-2024-27316 and its relatives).
  package var maximumContinuationFrames = 64
  /// Compressed bytes of one field block, held until it is complete. Twice the largest decoded section: what honest
  /// encoders send is smaller than that, never larger.
  package var maximumHeaderBlockBytes = 128 * 1024
  /// Answers we owe (PING and SETTINGS acknowledgements, RST_STREAM) waiting in an output that the peer does not read.
  package var maximumQueuedControlFrames = 1000
  /// DATA frames in a row without a byte of data and without END_STREAM.
  package var maximumEmptyFrames = 16
  /// Streams that the peer reset before their answer began, or made us reset by its faults, in excess of those that
  /// ran to their end (CVE-2023-44487 rapid reset, CVE-2025-8671 made-you-reset). A stream that is cut later has been
  /// paid for: nobody can cancel answers faster than we give them. Servers only.
  package var maximumResetStreams = 200
  /// So many of them are forgiven each second: clients give up on slow answers, and some on every one.
  package var resetStreamsPerSecond = 100
  /// PRIORITY and unknown frames, late frames of closed streams, streams above SETTINGS_MAX_CONCURRENT_STREAMS, repeated
  /// GOAWAY: so many plus `ignoredFramesPerStream` for each stream opened.
  package var maximumIgnoredFrames = 1000
  package var ignoredFramesPerStream = 10
  /// WINDOW_UPDATE frames: so many, plus 2 for each stream opened, plus 20 for each DATA frame we sent.
  package var maximumWindowUpdates = 1000
  /// DATA frames of under `tinyDataBytes` that the peer's windows forced on us, in excess of larger ones: a window
  /// opened byte by byte costs us a frame for each.
  package var maximumTinyDataFrames = 1000
  package var tinyDataBytes = 128
  /// SETTINGS frames, less `settingsFramesPerSecond`: each may move the window of every open stream.
  package var maximumSettingsFrames = 100
  package var settingsFramesPerSecond = 1
  /// Settings in one frame. There are seven that mean something to us.
  package var maximumSettingsPerFrame = 32

  package init() {}

  /// For a proxy of the mesh, which sums up many clients, each already bounded where it came in: when an
  /// application hangs, all of them give up at once.
  package static var meshPeer: HTTP2Limits {
    var limits = HTTP2Limits()
    limits.maximumResetStreams = 2_000
    limits.resetStreamsPerSecond = 1_000
    return limits
  }
}
