import MeshCore

extension HTTP2Connection {
  private enum Identifier {
    static let headerTableSize: UInt16 = 1
    static let enablePush: UInt16 = 2
    static let maximumConcurrentStreams: UInt16 = 3
    static let initialWindowSize: UInt16 = 4
    static let maximumFrameSize: UInt16 = 5
    static let maximumHeaderListSize: UInt16 = 6
    static let enableConnectProtocol: UInt16 = 8
  }

  func writeSettings() {
    withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { room in
      var count = 0
      func put(_ identifier: UInt16, _ value: UInt32) {
        room.storeBytes(of: identifier.bigEndian, toByteOffset: count, as: UInt16.self)
        room.storeBytes(of: value.bigEndian, toByteOffset: count + 2, as: UInt32.self)
        count += 6
      }
      if settings.headerTableSize != 4096 { put(Identifier.headerTableSize, settings.headerTableSize) }
      if role == .client {
        put(Identifier.enablePush, 0)
      } else {
        put(Identifier.maximumConcurrentStreams, settings.maximumConcurrentStreams)
        if settings.enableConnectProtocol { put(Identifier.enableConnectProtocol, 1) }
      }
      put(Identifier.initialWindowSize, settings.initialWindowSize)
      if settings.maximumFrameSize != 16384 { put(Identifier.maximumFrameSize, settings.maximumFrameSize) }
      put(Identifier.maximumHeaderListSize, settings.maximumHeaderListSize)
      let payload = UnsafeRawBufferPointer(rebasing: room[0..<count])
      output.appendFrame(HTTP2FrameType.settings, flags: 0, stream: 0, payload: payload)
    }
  }

  /// RFC 9113, section 6.5.
  func handleSettings(_ frame: HTTP2FrameHeader, _ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    guard frame.stream == 0 else { return fail(.protocolError, "SETTINGS on a stream") }
    if frame.has(HTTP2Flags.acknowledge) {
      guard payload.isEmpty else { return fail(.frameSizeError, "SETTINGS acknowledgement with payload") }
      return settingsAcknowledged()
    }
    guard payload.count % 6 == 0 else { return fail(.frameSizeError, "SETTINGS of wrong size") }
    if let limit = budget.settingsFrame(payload.count / 6, at: now) { return fail(limit) }
    if let limit = budget.controlFrameQueued(output.isEmpty) { return fail(limit) }
    // Without the setting the peer puts no bound on its streams.
    if !isSettingsReceived {
      peerMaximumConcurrentStreams = HTTP2StreamID.maximum.rawValue
      sendWindow &+= heldSendWindow
      heldSendWindow = 0
    }
    isSettingsReceived = true
    if let event = apply(payload) { return event }
    output.appendFrame(
      HTTP2FrameType.settings, flags: HTTP2Flags.acknowledge, stream: 0, payload: .init(start: nil, count: 0))
    return .settings
  }

  /// Makes the request of an HTTP/1.1 upgrade stream 1, half closed by the client, under the settings that came with
  /// it (RFC 7540, section 3.2). Call it before the first `next`. Returns the failure of settings out of range.
  ///
  /// Body bytes wait for the client's preface: curl takes no more than 32 KiB together with the 101.
  package func acceptUpgrade(_ settings: UnsafeRawBufferPointer, method: Method) -> HTTP2Event? {
    highestPeerStream = 1
    heldSendWindow = sendWindow
    sendWindow = 0
    let record = makeStream(1)
    record.pointee.isHeadReceived = true
    record.pointee.isRemoteEnded = true
    record.pointee.method = method
    return apply(settings)
  }

  private func apply(_ payload: UnsafeRawBufferPointer) -> HTTP2Event? {
    var at = 0
    let initialWindow = peerInitialWindow
    while at < payload.count {
      let identifier = UInt16(truncatingIfNeeded: payload.word(at: at) >> 16)
      if let event = apply(identifier, payload.word(at: at &+ 2)) { return event }
      at &+= 6
    }
    // Once for the frame: a frame that names it often must not walk over the streams as often.
    guard peerInitialWindow != initialWindow else { return nil }
    return moveWindows(by: peerInitialWindow - initialWindow)
  }

  private func apply(_ identifier: UInt16, _ value: UInt32) -> HTTP2Event? {
    switch identifier {
    case Identifier.headerTableSize:
      encoder.setPeerTableSize(Int(value))
    case Identifier.enablePush:
      let isAllowed = value == 0 || (value == 1 && role == .server)
      guard isAllowed else { return fail(.protocolError, "SETTINGS_ENABLE_PUSH out of range") }
    case Identifier.maximumConcurrentStreams:
      peerMaximumConcurrentStreams = value
    case Identifier.initialWindowSize:
      guard value <= Self.maximumWindow else {
        return fail(.flowControlError, "SETTINGS_INITIAL_WINDOW_SIZE out of range")
      }
      peerInitialWindow = Int(value)
    case Identifier.maximumFrameSize:
      guard value >= 16384, value <= 0xFF_FFFF else {
        return fail(.protocolError, "SETTINGS_MAX_FRAME_SIZE out of range")
      }
      peerMaximumFrameSize = Int(value)
    case Identifier.maximumHeaderListSize:
      peerMaximumHeaderListSize = value
    case Identifier.enableConnectProtocol:
      guard value <= 1, value == 1 || !peerEnablesConnectProtocol else {
        return fail(.protocolError, "SETTINGS_ENABLE_CONNECT_PROTOCOL out of range")
      }
      peerEnablesConnectProtocol = value == 1
    default: break
    }
    return nil
  }

  /// Moves every stream's window by the difference; windows may become negative (RFC 9113, section 6.9.2).
  private func moveWindows(by delta: Int) -> HTTP2Event? {
    var isOverflown = false
    let streams = streams
    streams.forEach { record in
      guard !record.pointee.isClosed else { return }
      record.pointee.sendWindow &+= delta
      if record.pointee.sendWindow > Self.maximumWindow { isOverflown = true }
      if record.pointee.sendWindow > 0, record.pointee.isBlockedOnWindow {
        record.pointee.isBlockedOnWindow = false
        if record.pointee.list == .none { streams.append(record, to: .waiting) }
      }
    }
    return isOverflown ? fail(.flowControlError, "stream window overflow by SETTINGS") : nil
  }

  private func settingsAcknowledged() -> HTTP2Event? {
    guard !isSettingsAcknowledged else { return ignoreFrame() }
    isSettingsAcknowledged = true
    decoder.acknowledged(tableSize: Int(settings.headerTableSize))
    let delta = Int(settings.initialWindowSize) - max(Int(settings.initialWindowSize), Self.defaultWindow)
    if delta != 0 {
      streams.forEach { record in record.pointee.receiveWindow &+= delta }
    }
    return nil
  }
}
