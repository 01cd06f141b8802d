/// A bound that a peer has reached: one of `HTTP2Limits` or of the settings.
package enum HTTP2Limit: UInt8, Sendable, CaseIterable {
  case fields
  case headerListBytes
  case continuationFrames
  case headerBlockBytes
  case tableSizeUpdates
  case queuedControlFrames
  case emptyFrames
  case resetStreams
  case ignoredFrames
  case windowUpdates
  case tinyDataFrames
  case settingsFrames
  case settingsPerFrame
  case concurrentStreams

  /// The label `limit` of `limit_hits_total`.
  package var name: StaticString {
    switch self {
    case .fields: "http2_fields"
    case .headerListBytes: "http2_header_list_bytes"
    case .continuationFrames: "http2_continuation_frames"
    case .headerBlockBytes: "http2_header_block_bytes"
    case .tableSizeUpdates: "http2_table_size_updates"
    case .queuedControlFrames: "http2_queued_control_frames"
    case .emptyFrames: "http2_empty_frames"
    case .resetStreams: "http2_reset_streams"
    case .ignoredFrames: "http2_ignored_frames"
    case .windowUpdates: "http2_window_updates"
    case .tinyDataFrames: "http2_tiny_data_frames"
    case .settingsFrames: "http2_settings_frames"
    case .settingsPerFrame: "http2_settings_per_frame"
    case .concurrentStreams: "http2_concurrent_streams"
    }
  }

  var reason: StaticString {
    switch self {
    case .fields: "too many fields"
    case .headerListBytes: "field section too large"
    case .continuationFrames: "too many CONTINUATION frames"
    case .headerBlockBytes: "field block too large"
    case .tableSizeUpdates: "too many table size updates"
    case .queuedControlFrames: "too many control frames to answer"
    case .emptyFrames: "too many empty DATA frames"
    case .resetStreams: "too many reset streams"
    case .ignoredFrames: "too many frames without effect"
    case .windowUpdates: "too many WINDOW_UPDATE frames"
    case .tinyDataFrames: "windows too small"
    case .settingsFrames: "too many SETTINGS frames"
    case .settingsPerFrame: "too many settings in one frame"
    case .concurrentStreams: "too many concurrent streams"
    }
  }
}
