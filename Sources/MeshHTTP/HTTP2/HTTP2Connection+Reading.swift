import MeshCore

extension HTTP2Connection {
  /// Reads the preface or one whole frame; of a DATA frame only what stands before the data.
  func readFrame(_ input: UnsafeRawBufferPointer) -> Step {
    if role == .server, prefaceMatched < Self.preface.utf8CodeUnitCount { return readPreface(input) }
    guard input.count >= HTTP2FrameHeader.size, let start = input.baseAddress else { return Step(consumed: 0) }
    let frame = HTTP2FrameHeader(start)
    if let event = checkOrder(frame) { return Step(event: event, consumed: HTTP2FrameHeader.size) }
    if frame.type == HTTP2FrameType.data { return readDataHeader(frame, input) }
    let size = HTTP2FrameHeader.size &+ frame.length
    guard input.count >= size else { return Step(consumed: 0) }
    let payload = input.slice(HTTP2FrameHeader.size, frame.length)
    return Step(event: handle(frame, payload), consumed: size)
  }

  /// RFC 9113, section 3.4.
  private func readPreface(_ input: UnsafeRawBufferPointer) -> Step {
    var at = 0
    while at < input.count, prefaceMatched < Self.preface.utf8CodeUnitCount {
      guard input[at] == Self.preface.utf8Start[prefaceMatched] else {
        return Step(event: fail(.protocolError, "no HTTP/2 preface"), consumed: at)
      }
      at &+= 1
      prefaceMatched &+= 1
    }
    return Step(consumed: at)
  }

  /// What a frame header alone can violate.
  private func checkOrder(_ frame: HTTP2FrameHeader) -> HTTP2Event? {
    // First, so that a server of another protocol is not told of a frame's size (RFC 9113, section 3.4).
    if !isSettingsReceived, frame.type != HTTP2FrameType.settings || frame.has(HTTP2Flags.acknowledge) {
      return fail(.protocolError, "first frame is not SETTINGS")
    }
    if frame.length > Int(settings.maximumFrameSize) { return fail(.frameSizeError, "frame too large") }
    if block.isActive, frame.type != HTTP2FrameType.continuation || frame.stream != block.stream {
      return fail(.protocolError, "field block interrupted")
    }
    return nil
  }

  private func handle(_ frame: HTTP2FrameHeader, _ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    switch frame.type {
    case HTTP2FrameType.headers: return handleHeaders(frame, payload)
    case HTTP2FrameType.continuation: return handleContinuation(frame, payload)
    case HTTP2FrameType.windowUpdate: return handleWindowUpdate(frame, payload)
    case HTTP2FrameType.resetStream: return handleReset(frame, payload)
    case HTTP2FrameType.settings: return handleSettings(frame, payload)
    case HTTP2FrameType.ping: return handlePing(frame, payload)
    case HTTP2FrameType.goAway: return handleGoAway(frame, payload)
    case HTTP2FrameType.priority: return handlePriority(frame, payload)
    case HTTP2FrameType.pushPromise: return fail(.protocolError, "PUSH_PROMISE although push is off")
    default: return ignoreFrame()
    }
  }

  func ignoreFrame() -> HTTP2Event? {
    guard let limit = budget.ignoredFrame() else { return nil }
    return fail(limit)
  }

  // MARK: - Control frames

  /// RFC 9113, section 5.3.2: deprecated, checked and ignored. A stream that depends on itself is the one thing that
  /// RFC 7540, section 5.3.1, called an error and no working client sends.
  private func handlePriority(_ frame: HTTP2FrameHeader, _ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    guard frame.stream != 0 else { return fail(.protocolError, "PRIORITY on stream 0") }
    var fault: HTTP2HeadAssembler.Fault?
    if payload.count != 5 {
      fault = .init(code: .frameSizeError, reason: "PRIORITY of wrong size")
    } else if payload.dependency(at: 0) == frame.stream {
      fault = .init(code: .protocolError, reason: "stream depends on itself")
    }
    guard let fault else { return ignoreFrame() }
    // An idle stream cannot be reset (RFC 9113, section 6.4).
    if open(frame.stream) == nil { return fail(fault.code, fault.reason) }
    return resetForFault(frame.stream, fault.code, fault.reason)
  }

  /// RFC 9113, section 6.4.
  private func handleReset(_ frame: HTTP2FrameHeader, _ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    guard frame.stream != 0 else { return fail(.protocolError, "RST_STREAM on stream 0") }
    guard payload.count == 4 else { return fail(.frameSizeError, "RST_STREAM of wrong size") }
    guard !isIdle(frame.stream) else { return fail(.protocolError, "RST_STREAM on an idle stream") }
    guard let record = open(frame.stream) else { return ignoreFrame() }
    // Before the stream is closed: its owner hears of one end, the stream's or the connection's.
    if role == .server, !record.pointee.isHeadSent, let limit = budget.streamReset(at: now) { return fail(limit) }
    close(record, .resetByPeer)
    let code = HTTP2ErrorCode(rawValue: payload.word(at: 0))
    return .reset(HTTP2StreamID(rawValue: frame.stream), code, isLocal: false)
  }

  /// RFC 9113, section 6.7.
  private func handlePing(_ frame: HTTP2FrameHeader, _ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    guard frame.stream == 0 else { return fail(.protocolError, "PING on a stream") }
    guard payload.count == 8 else { return fail(.frameSizeError, "PING of wrong size") }
    let opaque = UInt64(payload.word(at: 0)) << 32 | UInt64(payload.word(at: 4))
    if frame.has(HTTP2Flags.acknowledge) {
      guard pingsSent > 0 else { return ignoreFrame() }
      pingsSent -= 1
      return .pong(opaque)
    }
    if let limit = budget.controlFrameQueued(output.isEmpty) { return fail(limit) }
    output.appendFrame(HTTP2FrameType.ping, flags: HTTP2Flags.acknowledge, stream: 0, long: opaque)
    return nil
  }

  /// RFC 9113, section 6.8. Our streams above the peer's last one were not processed: they follow as `.reset`.
  private func handleGoAway(_ frame: HTTP2FrameHeader, _ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    guard frame.stream == 0 else { return fail(.protocolError, "GOAWAY on a stream") }
    guard payload.count >= 8 else { return fail(.frameSizeError, "GOAWAY of wrong size") }
    if let event = ignoreFrame() { return event }
    isPeerGoingAway = true
    let last = payload.word(at: 0) & 0x7FFF_FFFF
    if role == .client {
      let streams = streams
      streams.forEach { record in
        if !record.pointee.isClosed, record.pointee.id > last { streams.append(record, to: .refused) }
      }
    }
    return .goAway(lastStreamID: HTTP2StreamID(rawValue: last), HTTP2ErrorCode(rawValue: payload.word(at: 4)))
  }
}
