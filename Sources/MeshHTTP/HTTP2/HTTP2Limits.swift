/// Bounds on what one peer may cost us; a frame flood past one of them ends the connection with ENHANCE_YOUR_CALM.
package struct HTTP2Limits: Sendable {
  /// Fields of one head or trailer section, cookie crumbs counted one by one. Past it the stream is reset.
  package var maximumFields = 100
  /// CONTINUATION frames of one field block (CVE-2024-27316 and its relatives).
  package var maximumContinuationFrames = 64
  /// Compressed bytes of one field block.
  package var maximumHeaderBlockBytes = 256 * 1024
  /// Answers we owe (PING and SETTINGS acknowledgements, RST_STREAM) waiting in an output that the peer does not read.
  package var maximumQueuedControlFrames = 1000
  /// DATA frames in a row without a byte of data and without END_STREAM.
  package var maximumEmptyFrames = 16
  /// Streams cut short by the peer's RST_STREAM, or by its faults, in excess of streams that ran to their end
  /// (CVE-2023-44487 rapid reset, CVE-2025-8671 made-you-reset). Servers only.
  package var maximumResetStreams = 200
  /// PRIORITY and unknown frames, late frames of closed streams, repeated GOAWAY: so many plus
  /// `ignoredFramesPerStream` for each stream opened.
  package var maximumIgnoredFrames = 1000
  package var ignoredFramesPerStream = 10
  /// WINDOW_UPDATE frames: so many, plus 2 for each stream opened, plus 20 for each DATA frame we sent.
  package var maximumWindowUpdates = 1000

  package init() {}
}
