import MeshCore

extension HTTP2Connection {
  /// Sends part of a body and returns how much was taken: what the windows allow, until the output is full. What
  /// is left
  /// may be sent after a `.writable`. `endStream` counts only when everything was taken (an empty body always is).
  /// Bytes for a stream that is gone are taken and dropped.
  @discardableResult
  package func sendData(_ bytes: UnsafeRawBufferPointer, on stream: HTTP2StreamID, endStream: Bool) -> Int {
    guard !isFailed, let record = open(stream.rawValue), record.pointee.isHeadSent, !record.pointee.isLocalEnded
    else { return bytes.count }
    if bytes.isEmpty {
      if endStream {
        budget.dataFrameSent(0, isCut: false)
        writeData(bytes, record, endStream: true)
      }
      return 0
    }
    // With others waiting a stream gets a few frames, then it is the next one's turn.
    let isShared = streams.count(.waiting) > (record.pointee.list == .waiting ? 1 : 0)
    let quantum = isShared ? 4 * Self.largestFrameSent : Int.max
    var sent = 0
    while sent < bytes.count {
      if record.pointee.sendWindow <= 0 {
        record.pointee.isBlockedOnWindow = true
        streams.unlinkWaiting(record)
        return sent
      }
      if sendWindow <= 0 || output.count >= outputHighWatermark || sent >= quantum {
        if record.pointee.list == .none { streams.append(record, to: .waiting) }
        return sent
      }
      let room = min(record.pointee.sendWindow, sendWindow, Self.largestFrameSent)
      let count = min(bytes.count &- sent, room)
      let isLast = sent &+ count == bytes.count
      budget.dataFrameSent(count, isCut: !isLast && count == room)
      writeData(bytes.slice(sent, count), record, endStream: endStream && isLast)
      sent &+= count
    }
    streams.unlinkWaiting(record)
    return sent
  }

  /// The smallest limit a peer may set (RFC 9113, section 6.5.2), and one TLS record.
  static let largestFrameSent = 16384

  private func writeData(_ bytes: UnsafeRawBufferPointer, _ record: HTTP2StreamTable.Record, endStream: Bool) {
    let flags = endStream ? HTTP2Flags.endStream : 0
    output.appendFrame(HTTP2FrameType.data, flags: flags, stream: record.pointee.id, payload: bytes)
    record.pointee.sendWindow &-= bytes.count
    sendWindow &-= bytes.count
    if endStream { endLocal(record) }
  }

  private func endLocal(_ record: HTTP2StreamTable.Record) {
    record.pointee.isLocalEnded = true
    record.pointee.isBlockedOnWindow = false
    streams.unlinkWaiting(record)
    closeIfEnded(record)
  }

  /// The owner has flushed the output: answers are no longer waiting, and `next` may report `.writable`.
  package func outputDrained() { budget.outputDrained() }

  // MARK: - Heads

  /// Sends a request head (client), an informational or a final response head (server). Fields that belong to one
  /// connection are left out and names are lowered; `Host` becomes `:authority`.
  package func sendHead(_ head: MessageHead, on stream: HTTP2StreamID, endStream: Bool) {
    guard !isFailed, let record = open(stream.rawValue), !record.pointee.isHeadSent else { return }
    let isInformational = role == .server && head.status >= 100 && head.status < 200
    if role == .client { record.pointee.method = head.method }
    writeBlock(head, isTrailers: false, record, endStream: endStream && !isInformational)
    if isInformational { return }
    record.pointee.isHeadSent = true
    if endStream { endLocal(record) }
  }

  /// Sends trailers, which end our side of the stream.
  package func sendTrailers(_ trailers: MessageHead, on stream: HTTP2StreamID) {
    guard !isFailed, let record = open(stream.rawValue), record.pointee.isHeadSent, !record.pointee.isLocalEnded
    else { return }
    writeBlock(trailers, isTrailers: true, record, endStream: true)
    endLocal(record)
  }

  /// Ends our side of the stream after its content.
  package func finish(_ stream: HTTP2StreamID, trailers: MessageHead?) {
    if let trailers { return sendTrailers(trailers, on: stream) }
    _ = sendData(UnsafeRawBufferPointer(start: nil, count: 0), on: stream, endStream: true)
  }

  private func writeBlock(
    _ head: MessageHead, isTrailers: Bool, _ record: HTTP2StreamTable.Record, endStream: Bool
  ) {
    // Room of one byte or more always has a base address.
    let room = output.reserve(HTTP2FrameHeader.size + blockBound(head)).baseAddress.unsafelyUnwrapped
    let start = room + HTTP2FrameHeader.size
    let length = encodeBlock(head, isTrailers: isTrailers, start, &encoder) - start
    let end = endStream ? HTTP2Flags.endStream : 0
    let first = min(length, Self.largestFrameSent)
    let flags = first == length ? end | HTTP2Flags.endHeaders : end
    HTTP2FrameHeader(length: first, type: HTTP2FrameType.headers, flags: flags, stream: record.pointee.id).write(
      to: room)
    output.commit(HTTP2FrameHeader.size + first)
    if first < length { writeContinuations(start + first, length - first, record.pointee.id) }
  }

  /// One `inout` encoder for the whole block: one exclusivity check instead of one for each field.
  private func encodeBlock(
    _ head: MessageHead, isTrailers: Bool, _ start: UnsafeMutableRawPointer, _ encoder: inout HPACKEncoder
  ) -> UnsafeMutableRawPointer {
    var out = encoder.begin(start)
    if !isTrailers, role == .client { out = Self.encodeRequestLine(head, out, &encoder) }
    if !isTrailers, role == .server { out = Self.encodeStatus(head.status, out, &encoder) }
    return Self.encodeFields(
      head, out, isRequest: role == .client && !isTrailers, isTrailers: isTrailers, &encoder, nameScratch)
  }

  /// The rest of a long block lies uncommitted in the output: copy it out and write it frame by frame.
  private func writeContinuations(_ rest: UnsafeMutableRawPointer, _ count: Int, _ id: UInt32) {
    let copy = [UInt8](UnsafeRawBufferPointer(start: rest, count: count))
    copy.withUnsafeBytes { bytes in
      var at = 0
      while at < count {
        let size = min(count - at, Self.largestFrameSent)
        let flags = at + size == count ? HTTP2Flags.endHeaders : 0
        output.appendFrame(HTTP2FrameType.continuation, flags: flags, stream: id, payload: bytes.slice(at, size))
        at += size
      }
    }
  }

  // MARK: - Connection

  /// Tells the peer which of its streams were or will be processed (RFC 9113, section 6.8): first
  /// `HTTP2StreamID.maximum` to announce a shutdown, a round trip later nil for the highest one seen so far.
  /// Later streams are ignored. Our own streams go on, but no new ones are opened.
  package func sendGoAway(_ code: HTTP2ErrorCode, lastAccepted: HTTP2StreamID? = nil) {
    guard !isFailed else { return }
    // A later GOAWAY must not raise the id (RFC 9113, section 6.8).
    let last = min(lastAccepted?.rawValue ?? highestPeerStream, goAwaySent ?? UInt32.max)
    goAwaySent = last
    writeGoAway(lastStream: last, code)
  }

  package func sendPing(_ opaque: UInt64) {
    guard !isFailed else { return }
    pingsSent += 1
    output.appendFrame(HTTP2FrameType.ping, stream: 0, long: opaque)
  }
}
