import MeshCore

/// A field block spread over HEADERS and CONTINUATION frames.
struct HTTP2BlockProgress {
  var isActive = false
  var stream: UInt32 = 0
  var endsStream = false
  var dependsOnItself = false
  var continuations = 0
  var since = Instant(nanoseconds: 0)
  var bytes: [UInt8] = []
}

extension HTTP2Connection {
  /// RFC 9113, section 6.2. The deprecated priority part is skipped, but for a stream that depends on itself.
  func handleHeaders(_ frame: HTTP2FrameHeader, _ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    guard frame.stream != 0 else { return fail(.protocolError, "HEADERS on stream 0") }
    var start = 0
    var padding = 0
    if frame.has(HTTP2Flags.padded) {
      guard payload.count >= 1 else { return fail(.frameSizeError, "no pad length") }
      padding = Int(payload[0])
      start = 1
    }
    let hasPriority = frame.has(HTTP2Flags.priority)
    if hasPriority { start &+= 5 }
    guard start <= payload.count else { return fail(.frameSizeError, "HEADERS too short") }
    block.dependsOnItself = hasPriority && payload.dependency(at: start &- 5) == frame.stream
    guard padding <= payload.count &- start else { return fail(.protocolError, "padding too long") }
    let part = payload.slice(start, payload.count &- start &- padding)
    let endsStream = frame.has(HTTP2Flags.endStream)
    if frame.has(HTTP2Flags.endHeaders) { return handleBlock(frame.stream, endsStream, part) }
    block.isActive = true
    block.stream = frame.stream
    block.endsStream = endsStream
    block.continuations = 0
    block.since = now
    block.bytes.removeAll(keepingCapacity: true)
    block.bytes.append(contentsOf: part)
    return nil
  }

  /// RFC 9113, section 6.10.
  func handleContinuation(_ frame: HTTP2FrameHeader, _ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    guard block.isActive else { return fail(.protocolError, "CONTINUATION without HEADERS") }
    block.continuations += 1
    guard block.continuations <= limits.maximumContinuationFrames else {
      return fail(.continuationFrames)
    }
    guard block.bytes.count + payload.count <= limits.maximumHeaderBlockBytes else {
      return fail(.headerBlockBytes)
    }
    block.bytes.append(contentsOf: payload)
    guard frame.has(HTTP2Flags.endHeaders) else { return nil }
    block.isActive = false
    let bytes = block.bytes
    block.bytes = []
    return bytes.withUnsafeBytes { handleBlock(block.stream, block.endsStream, $0) }
  }

  /// A whole field block: a new request, a response, trailers, or one that is only decoded to keep the table in step.
  private func handleBlock(_ id: UInt32, _ endsStream: Bool, _ bytes: UnsafeRawBufferPointer) -> HTTP2Event? {
    if let record = open(id) {
      if record.pointee.isRemoteEnded {
        return decode(bytes, .discard) ?? resetForFault(id, .streamClosed, "HEADERS after END_STREAM")
      }
      if record.pointee.isHeadReceived { return handleTrailers(record, endsStream, bytes) }
      return handleResponse(record, endsStream, bytes)
    }
    if !isIdle(id) { return handleLateBlock(id, bytes) }
    guard role == .server, id & 1 == 1 else { return fail(.protocolError, "HEADERS on a stream the peer cannot open") }
    return handleRequest(id, endsStream, bytes)
  }

  /// HEADERS of a closed stream (RFC 9113, section 5.1).
  private func handleLateBlock(_ id: UInt32, _ bytes: UnsafeRawBufferPointer) -> HTTP2Event? {
    switch streams.closure(of: id) {
    case .ended: return fail(.streamClosed, "HEADERS after END_STREAM")
    case .resetByUs: return decode(bytes, .discard) ?? ignoreFrame()
    case .resetByPeer:
      return decode(bytes, .discard) ?? resetForFault(id, .streamClosed, "HEADERS on a closed stream")
    case .unknown:
      if role == .server, streams.isRemembered(id, highest: highestPeerStream) {
        return fail(.protocolError, "stream id below an earlier one")
      }
      return decode(bytes, .discard) ?? ignoreFrame()
    }
  }

  private func handleRequest(_ id: UInt32, _ endsStream: Bool, _ bytes: UnsafeRawBufferPointer) -> HTTP2Event? {
    highestPeerStream = id
    if let last = goAwaySent, id > last {
      streams.remember(id, .resetByUs)
      return decode(bytes, .discard) ?? ignoreFrame()
    }
    if activeStreamCount >= Int(settings.maximumConcurrentStreams) {
      if let event = decode(bytes, .discard) { return event }
      return refuse(id)
    }
    if let event = decode(bytes, .request) { return event }
    var fault = assembler.fault
    let length = receivedHead.method == .connect ? -1 : assembler.contentLength
    if fault == nil, endsStream, length > 0 { fault = .init(code: .protocolError, reason: "Content-Length mismatch") }
    if let fault { return resetForFault(id, fault.code, fault.reason, fault.limit) }
    let record = makeStream(id)
    record.pointee.isHeadReceived = true
    record.pointee.method = receivedHead.method
    record.pointee.contentRemaining = length
    record.pointee.isRemoteEnded = endsStream
    return .head(HTTP2StreamID(rawValue: id), endStream: endsStream)
  }

  /// A stream above SETTINGS_MAX_CONCURRENT_STREAMS: it may be repeated (RFC 9113, section 5.1.2).
  private func refuse(_ id: UInt32) -> HTTP2Event {
    streams.remember(id, .resetByUs)
    if let limit = writeReset(id, .refusedStream) ?? budget.ignoredFrame() { return fail(limit) }
    exceededLimit = .concurrentStreams
    lastResetReason = HTTP2Limit.concurrentStreams.reason
    return .reset(HTTP2StreamID(rawValue: id), .refusedStream, isLocal: true)
  }

  private func handleResponse(
    _ record: HTTP2StreamTable.Record, _ endsStream: Bool, _ bytes: UnsafeRawBufferPointer
  ) -> HTTP2Event? {
    let id = record.pointee.id
    guard record.pointee.isHeadSent else { return fail(.protocolError, "HEADERS on an idle stream") }
    if let event = decode(bytes, .response) { return event }
    if let fault = assembler.fault { return resetForFault(id, fault.code, fault.reason, fault.limit) }
    let status = receivedHead.status
    if status < 200 {
      guard !endsStream else { return resetForFault(id, .protocolError, "informational response ends the stream") }
      // There is no bound on 1xx responses but this one.
      return ignoreFrame() ?? .informational(HTTP2StreamID(rawValue: id))
    }
    let hasNoBody = record.pointee.method == .head || status == 204 || status == 304
    let isTunnel = record.pointee.method == .connect && status < 300
    let length = hasNoBody ? 0 : isTunnel ? -1 : assembler.contentLength
    if endsStream, length > 0 { return resetForFault(id, .protocolError, "Content-Length mismatch") }
    record.pointee.isHeadReceived = true
    record.pointee.contentRemaining = length
    if endsStream { endRemote(record) }
    return .head(HTTP2StreamID(rawValue: id), endStream: endsStream)
  }

  private func handleTrailers(
    _ record: HTTP2StreamTable.Record, _ endsStream: Bool, _ bytes: UnsafeRawBufferPointer
  ) -> HTTP2Event? {
    let id = record.pointee.id
    if let event = decode(bytes, .trailers) { return event }
    if let fault = assembler.fault { return resetForFault(id, fault.code, fault.reason, fault.limit) }
    guard endsStream else { return resetForFault(id, .protocolError, "trailers do not end the stream") }
    guard record.pointee.contentRemaining <= 0 else {
      return resetForFault(id, .protocolError, "Content-Length mismatch")
    }
    endRemote(record)
    return .trailers(HTTP2StreamID(rawValue: id))
  }

  /// Decodes a block into `receivedHead`; the event is a failure of the connection.
  private func decode(_ bytes: UnsafeRawBufferPointer, _ kind: HTTP2HeadAssembler.Kind) -> HTTP2Event? {
    if let reason = Self.decode(bytes, kind, &decoder, &assembler, receivedHead) {
      let failure = fail(.compressionError, reason)
      if decoder.hasTooManyUpdates { exceededLimit = .tableSizeUpdates }
      return failure
    }
    if block.dependsOnItself { assembler.fail("stream depends on itself") }
    return nil
  }

  private static func decode(
    _ bytes: UnsafeRawBufferPointer, _ kind: HTTP2HeadAssembler.Kind, _ decoder: inout HPACKDecoder,
    _ assembler: inout HTTP2HeadAssembler, _ head: MessageHead
  ) -> StaticString? {
    assembler.begin(kind, head)
    decoder.begin(bytes)
    while true {
      switch decoder.next() {
      case .field(let field):
        assembler.add(field, to: head)
        if assembler.isDone { decoder.skipIndexed() }
      case .end:
        assembler.finish(head)
        return nil
      case .failure(let reason): return reason
      }
    }
  }
}
