import MeshCore

extension HTTP2Connection {
  /// The record of an open stream.
  @inline(__always) func open(_ id: UInt32) -> HTTP2StreamTable.Record? {
    guard let record = streams.find(id), !record.pointee.isClosed else { return nil }
    return record
  }

  /// No frame of either side has used `id` yet.
  func isIdle(_ id: UInt32) -> Bool {
    guard id & 1 == 1 else { return true }
    return role == .server ? id > highestPeerStream : id >= nextLocalStream
  }

  func makeStream(_ id: UInt32) -> HTTP2StreamTable.Record {
    activeStreamCount += 1
    budget.streamOpened()
    return streams.insert(HTTP2Stream(id: id, sendWindow: peerInitialWindow, receiveWindow: streamWindow))
  }

  /// Until the peer acknowledged our SETTINGS it may go by the initial 65,535.
  var streamWindow: Int {
    let own = Int(settings.initialWindowSize)
    return isSettingsAcknowledged ? own : max(own, Self.defaultWindow)
  }

  /// Ends a stream. Its record lives on until the next call of `next`.
  func close(_ record: HTTP2StreamTable.Record, _ closure: HTTP2Closure) {
    guard !record.pointee.isClosed else { return }
    record.pointee.isClosed = true
    activeStreamCount -= 1
    streams.remember(record.pointee.id, closure)
    if closure == .ended { budget.streamFinished() }
    streams.append(record, to: .retired)
  }

  func closeIfEnded(_ record: HTTP2StreamTable.Record) {
    if record.pointee.isLocalEnded, record.pointee.isRemoteEnded { close(record, .ended) }
  }

  func releaseRetired() {
    while let record = streams.popFirst(.retired) { streams.remove(record) }
  }

  /// Events that need no input: streams a GOAWAY left out, then blocked streams in turn.
  func queuedEvent() -> HTTP2Event? {
    if role == .server, let limit = budget.overdrawn { return fail(limit) }
    if let record = streams.popFirst(.refused) {
      let id = record.pointee.id
      close(record, .resetByUs)
      lastResetReason = "not processed before GOAWAY"
      exceededLimit = nil
      return .reset(HTTP2StreamID(rawValue: id), .refusedStream, isLocal: true)
    }
    guard streams.count(.waiting) > 0, sendWindow > 0, output.count < outputHighWatermark else { return nil }
    guard let record = streams.popFirst(.waiting) else { return nil }
    return .writable(HTTP2StreamID(rawValue: record.pointee.id))
  }

  // MARK: - Opening

  /// Records that fit without taking more memory; it follows the highest number of streams open at once.
  package var streamCapacity: Int { streams.slabCapacity }

  /// No stream will ever be opened again: after GOAWAY of either side, a failure, or the last id.
  package var takesNoMoreStreams: Bool {
    isFailed || isPeerGoingAway || goAwaySent != nil || nextLocalStream > HTTP2StreamID.maximum.rawValue
  }

  /// Whether the peer's limit, its GOAWAY and the ids left allow one more stream.
  package var canOpenStream: Bool {
    role == .client && !takesNoMoreStreams && activeStreamCount < Int(peerMaximumConcurrentStreams)
  }

  /// Opens a stream; its head must be sent before another stream is opened (RFC 9113, section 5.1.1).
  package func openStream() -> HTTP2StreamID? {
    guard canOpenStream else { return nil }
    let id = nextLocalStream
    nextLocalStream += 2
    _ = makeStream(id)
    return HTTP2StreamID(rawValue: id)
  }

  /// Gives a stream up. Does nothing for a stream that is gone.
  package func sendReset(_ stream: HTTP2StreamID, _ code: HTTP2ErrorCode) {
    guard let record = open(stream.rawValue) else { return }
    // A stream without a head is idle to the peer: there is nothing to reset.
    let isKnown = role == .server || record.pointee.isHeadSent
    close(record, .resetByUs)
    if isKnown, !isFailed {
      output.appendFrame(HTTP2FrameType.resetStream, stream: stream.rawValue, word: code.rawValue)
    }
  }
}
