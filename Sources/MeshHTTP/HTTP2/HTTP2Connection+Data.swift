import MeshCore

/// A DATA frame whose payload is being handed out as it arrives.
struct HTTP2BodyProgress {
  var isActive = false
  var stream: UInt32 = 0
  var remaining = 0
  var padding = 0
  var endsStream = false
  /// The stream was already gone, or at fault, when the frame began.
  var isDiscarded = false
}

extension HTTP2Connection {
  /// Begins a DATA frame: checks it and counts all of it against both windows (RFC 9113, sections 6.1 and 6.9).
  func readDataHeader(_ frame: HTTP2FrameHeader, _ input: UnsafeRawBufferPointer) -> Step {
    guard frame.stream != 0 else { return Step(event: fail(.protocolError, "DATA on stream 0"), consumed: 0) }
    guard !isIdle(frame.stream) else {
      return Step(event: fail(.protocolError, "DATA on an idle stream"), consumed: 0)
    }
    var size = HTTP2FrameHeader.size
    var padding = 0
    if frame.has(HTTP2Flags.padded) {
      guard frame.length > 0 else { return Step(event: fail(.frameSizeError, "no pad length"), consumed: 0) }
      guard input.count > size else { return Step(consumed: 0) }
      padding = Int(input[size])
      size &+= 1
      guard padding < frame.length else { return Step(event: fail(.protocolError, "padding too long"), consumed: 0) }
    }
    guard frame.length <= receiveWindow else {
      return Step(event: fail(.flowControlError, "connection window exceeded"), consumed: 0)
    }
    receiveWindow &-= frame.length
    let overhead = size &- HTTP2FrameHeader.size &+ padding
    let payload = frame.length &- overhead
    creditConnection(overhead)
    body = HTTP2BodyProgress(
      isActive: payload &+ padding > 0, stream: frame.stream, remaining: payload, padding: padding,
      endsStream: frame.has(HTTP2Flags.endStream), isDiscarded: false)
    return Step(event: beginData(frame, payload: payload, overhead: overhead), consumed: size)
  }

  private func beginData(_ frame: HTTP2FrameHeader, payload: Int, overhead: Int) -> HTTP2Event? {
    guard let record = open(frame.stream) else {
      body.isDiscarded = true
      return lateData(frame.stream, payload)
    }
    if let fault = dataFault(record, frame, payload) {
      body.isDiscarded = true
      return resetForFault(frame.stream, fault.code, fault.reason)
    }
    record.pointee.receiveWindow &-= frame.length
    creditStream(record, overhead)
    if payload > 0 {
      budget.dataReceived()
      return nil
    }
    guard body.endsStream else {
      if let limit = budget.emptyFrame() { return fail(limit) }
      return nil
    }
    endRemote(record)
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    return .data(HTTP2StreamID(rawValue: frame.stream), nothing, flowControlled: 0, endStream: true)
  }

  /// DATA of a closed stream (RFC 9113, section 5.1).
  private func lateData(_ id: UInt32, _ payload: Int) -> HTTP2Event? {
    switch streams.closure(of: id) {
    case .ended: return fail(.streamClosed, "DATA after END_STREAM")
    // Flow control already makes the peer pay for bytes; only empty frames are free.
    case .resetByUs: return payload == 0 ? ignoreFrame() : nil
    case .resetByPeer, .unknown: return resetForFault(id, .streamClosed, "DATA on a closed stream")
    }
  }

  private func dataFault(
    _ record: HTTP2StreamTable.Record, _ frame: HTTP2FrameHeader, _ payload: Int
  ) -> HTTP2HeadAssembler.Fault? {
    if record.pointee.isRemoteEnded { return .init(code: .streamClosed, reason: "DATA after END_STREAM") }
    if !record.pointee.isHeadReceived { return .init(code: .protocolError, reason: "DATA before HEADERS") }
    if frame.length > record.pointee.receiveWindow {
      return .init(code: .flowControlError, reason: "stream window exceeded")
    }
    guard record.pointee.contentRemaining >= 0 else { return nil }
    let remaining = record.pointee.contentRemaining &- payload
    let isShort = body.endsStream && remaining > 0
    if remaining < 0 || isShort { return .init(code: .protocolError, reason: "Content-Length mismatch") }
    record.pointee.contentRemaining = remaining
    return nil
  }

  /// Hands out what has arrived of the payload, or drops padding.
  func readBody(_ input: UnsafeRawBufferPointer) -> Step {
    if body.remaining == 0 {
      let dropped = min(input.count, body.padding)
      body.padding &-= dropped
      body.isActive = body.padding > 0
      return Step(consumed: dropped)
    }
    let count = min(input.count, body.remaining)
    guard count > 0 else { return Step(consumed: 0) }
    body.remaining &-= count
    body.isActive = body.remaining &+ body.padding > 0
    guard !body.isDiscarded, let record = open(body.stream) else {
      creditConnection(count)
      return Step(consumed: count)
    }
    record.pointee.unconsumed &+= count
    creditConnection(count)
    let isLast = body.remaining == 0 && body.endsStream
    if isLast { endRemote(record) }
    let bytes = input.slice(0, count)
    let id = HTTP2StreamID(rawValue: body.stream)
    return Step(event: .data(id, bytes, flowControlled: count, endStream: isLast), consumed: count)
  }

  func endRemote(_ record: HTTP2StreamTable.Record) {
    record.pointee.isRemoteEnded = true
    closeIfEnded(record)
  }

  // MARK: - Receive windows

  /// Body bytes of a `.data` event were passed on: the peer may send as many again. Updates go out by half windows.
  ///
  /// This is the stream's window only. The connection's is given back as bytes arrive: held back for slow streams, it would
  /// let a few of them stop all others of the connection. What is held for slow streams is the owner's to bound.
  package func consumed(_ bytes: Int, on stream: HTTP2StreamID) {
    guard let record = open(stream.rawValue) else { return }
    let count = min(bytes, record.pointee.unconsumed)
    record.pointee.unconsumed &-= count
    creditStream(record, count)
  }

  func creditConnection(_ bytes: Int) {
    guard bytes > 0, !isFailed else { return }
    receiveCredit &+= bytes
    guard receiveCredit >= receiveWindowSize / 2 else { return }
    output.appendFrame(HTTP2FrameType.windowUpdate, stream: 0, word: UInt32(receiveCredit))
    receiveWindow &+= receiveCredit
    receiveCredit = 0
  }

  func creditStream(_ record: HTTP2StreamTable.Record, _ bytes: Int) {
    guard bytes > 0, !isFailed else { return }
    record.pointee.credit &+= bytes
    guard !record.pointee.isRemoteEnded, record.pointee.credit * 2 >= Int(settings.initialWindowSize) else { return }
    let credit = record.pointee.credit
    output.appendFrame(HTTP2FrameType.windowUpdate, stream: record.pointee.id, word: UInt32(credit))
    record.pointee.receiveWindow &+= credit
    record.pointee.credit = 0
  }

  // MARK: - Send windows

  /// RFC 9113, section 6.9.
  func handleWindowUpdate(_ frame: HTTP2FrameHeader, _ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    guard payload.count == 4 else { return fail(.frameSizeError, "WINDOW_UPDATE of wrong size") }
    let increment = Int(payload.word(at: 0) & 0x7FFF_FFFF)
    if let limit = budget.windowUpdate() { return fail(limit) }
    if frame.stream == 0 {
      guard increment > 0 else { return fail(.protocolError, "WINDOW_UPDATE of 0") }
      sendWindow &+= increment
      return sendWindow > Self.maximumWindow ? fail(.flowControlError, "connection window overflow") : nil
    }
    guard !isIdle(frame.stream) else { return fail(.protocolError, "WINDOW_UPDATE on an idle stream") }
    guard let record = open(frame.stream) else { return nil }
    guard increment > 0 else { return resetForFault(frame.stream, .protocolError, "WINDOW_UPDATE of 0") }
    record.pointee.sendWindow &+= increment
    if record.pointee.sendWindow > Self.maximumWindow {
      return resetForFault(frame.stream, .flowControlError, "stream window overflow")
    }
    if record.pointee.isBlockedOnWindow, record.pointee.sendWindow > 0 {
      record.pointee.isBlockedOnWindow = false
      if record.pointee.list == .none { streams.append(record, to: .waiting) }
    }
    return nil
  }
}
