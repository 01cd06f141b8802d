package import MeshCore

/// One HTTP/2 connection without I/O (RFC 9113), either role.
///
/// The owner feeds it readable bytes with `next` and flushes `output`, to which any call may add frames. It holds the
/// stream records, both HPACK tables and both directions' flow control, and keeps the peer within `HTTP2Limits`.
/// A steady connection allocates nothing per stream. Confined to the worker loop of its connection.
package final class HTTP2Connection {
  package enum Role: Sendable { case client, server }
  package typealias Event = HTTP2Event

  static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
  static let defaultWindow = 65535
  static let maximumWindow = 0x7FFF_FFFF

  package let role: Role
  package let output: ByteQueue
  /// The head or trailers of the event just returned; overwritten by the next one, also by another engine's when the
  /// owner has given both the same head.
  package let receivedHead: MessageHead
  /// `sendData` stops while the output holds so many bytes.
  package var outputHighWatermark = 256 * 1024
  /// Why the stream of the last local `.reset` was reset.
  package internal(set) var lastResetReason: StaticString = ""
  /// The limit that the last `.failure` or local `.reset` is for; nil when it is for a fault of another kind.
  package internal(set) var exceededLimit: HTTP2Limit?
  /// The time, set by the owner before `next`. It decides nothing but what `HTTP2Limits` forgives by the second, and
  /// `unfinishedSince`.
  package var now: Instant

  let settings: HTTP2Settings
  let limits: HTTP2Limits
  let streams = HTTP2StreamTable()
  var decoder: HPACKDecoder
  var encoder = HPACKEncoder()
  var assembler: HTTP2HeadAssembler
  var budget: HTTP2AbuseBudget
  let nameScratch = HTTP2NameScratch()

  // Reading.
  var isFailed = false
  var prefaceMatched = 0
  package internal(set) var isSettingsReceived = false
  var isSettingsAcknowledged = false
  var pingsSent = 0
  var body = HTTP2BodyProgress()
  var block = HTTP2BlockProgress()
  /// When the part of a frame that ends the input was first seen.
  private var partSince: Instant?
  private let start: Instant

  // Streams. Ids are the highest used so far by each side.
  package internal(set) var activeStreamCount = 0
  var highestPeerStream: UInt32 = 0
  var nextLocalStream: UInt32 = 1
  var goAwaySent: UInt32?
  /// The peer sent GOAWAY: it takes no new streams.
  package internal(set) var isPeerGoingAway = false

  // The peer's settings.
  package internal(set) var peerMaximumConcurrentStreams: UInt32 = 100
  package internal(set) var peerEnablesConnectProtocol = false
  /// Largest field section the peer likes to get, in bytes as counted by RFC 9113, section 6.5.2.
  package internal(set) var peerMaximumHeaderListSize = UInt32.max
  var peerInitialWindow = HTTP2Connection.defaultWindow
  var peerMaximumFrameSize = 16384

  // Flow control of the connection.
  var sendWindow = HTTP2Connection.defaultWindow
  /// The window of an upgraded connection until the client's preface has come.
  var heldSendWindow = 0
  var receiveWindow: Int
  let receiveWindowSize: Int
  var receiveCredit = 0

  /// Writes the client preface, SETTINGS and the connection's window to `output` at once.
  ///
  /// `receivedHead`: where heads are decoded. A field block is decoded whole when its last byte is here, so that engines
  /// of one loop may share one; left out, the engine has its own.
  package init(
    role: Role, settings: HTTP2Settings = .init(), limits: HTTP2Limits = .init(),
    connectionWindow: Int = 16 << 20, output: ByteQueue, now: Instant = Instant(nanoseconds: 0),
    receivedHead: MessageHead? = nil
  ) {
    self.now = now
    start = now
    self.role = role
    self.settings = settings
    self.limits = limits
    self.output = output
    self.receivedHead = receivedHead ?? MessageHead()
    decoder = HPACKDecoder(tableSize: Int(settings.headerTableSize))
    assembler = HTTP2HeadAssembler(settings: settings, limits: limits)
    budget = HTTP2AbuseBudget(limits)
    receiveWindowSize = min(max(connectionWindow, Self.defaultWindow), Self.maximumWindow)
    receiveWindow = receiveWindowSize
    if role == .client { output.append(Self.preface) }
    writeSettings()
    let extra = receiveWindowSize - Self.defaultWindow
    if extra > 0 { output.appendFrame(HTTP2FrameType.windowUpdate, stream: 0, word: UInt32(extra)) }
  }

  /// Reports the next thing that `input` or the engine's own queues hold. The caller handles the event, drops
  /// `consumed`
  /// bytes, and calls again until `.needMore`. Call it with empty input after `outputDrained`.
  package func next(_ input: UnsafeRawBufferPointer) -> (event: HTTP2Event, consumed: Int) {
    releaseRetired()
    var at = 0
    while !isFailed {
      if let event = queuedEvent() { return (event, at) }
      let rest = UnsafeRawBufferPointer(rebasing: input[at...])
      let step = body.isActive ? readBody(rest) : readFrame(rest)
      at &+= step.consumed
      if step.consumed > 0 { partSince = nil }
      if let event = step.event { return (event, at) }
      if step.consumed == 0 {
        if !rest.isEmpty, partSince == nil { partSince = now }
        return (.needMore, at)
      }
    }
    return (.needMore, input.count)
  }

  /// Since when the peer has owed us the rest of what it began: preface and SETTINGS, a field block, or a frame.
  /// Nil when nothing is half-way. The payload of a DATA frame may take as long as its stream.
  package var unfinishedSince: Instant? {
    guard isSettingsReceived else { return start }
    return block.isActive ? block.since : partSince
  }

  /// What one step of reading found; nothing consumed and no event means that more input is needed.
  struct Step {
    var event: HTTP2Event?
    var consumed: Int
  }

  // MARK: - Contexts

  /// Hangs the owner's object on an open stream. It stays reachable until the call of `next` after the stream's end.
  package func setContext(_ context: AnyObject?, for stream: HTTP2StreamID) {
    streams.find(stream.rawValue)?.pointee.context = context
  }

  package func context(of stream: HTTP2StreamID) -> AnyObject? {
    streams.find(stream.rawValue)?.pointee.context
  }

  /// Calls `body` with every open stream, for the connection's close. `body` must not open streams.
  package func forEachStream(_ body: (HTTP2StreamID, AnyObject?) -> Void) {
    streams.forEach { record in
      if !record.pointee.isClosed { body(HTTP2StreamID(rawValue: record.pointee.id), record.pointee.context) }
    }
  }

  // MARK: - Errors

  /// Ends the connection: GOAWAY is written, nothing more is read.
  func fail(_ code: HTTP2ErrorCode, _ reason: StaticString) -> HTTP2Event {
    isFailed = true
    exceededLimit = nil
    // Never above an earlier announcement: the streams between were ignored (RFC 9113, section 6.8).
    writeGoAway(lastStream: min(highestPeerStream, goAwaySent ?? .max), code)
    return .failure(code, reason)
  }

  /// Ends the connection for a limit.
  func fail(_ limit: HTTP2Limit) -> HTTP2Event {
    let event = fail(.enhanceYourCalm, limit.reason)
    exceededLimit = limit
    return event
  }

  /// Resets one stream for a fault of the peer. `id` need not have a record.
  func resetForFault(
    _ id: UInt32, _ code: HTTP2ErrorCode, _ reason: StaticString, _ limit: HTTP2Limit? = nil
  ) -> HTTP2Event {
    // Before the stream is closed: its owner hears of one end, the stream's or the connection's.
    if role == .server, let limit = budget.streamReset(at: now) { return fail(limit) }
    if let limit = writeReset(id, code) { return fail(limit) }
    if let record = open(id) { close(record, .resetByUs) }
    streams.remember(id, .resetByUs)
    lastResetReason = reason
    exceededLimit = limit
    return .reset(HTTP2StreamID(rawValue: id), code, isLocal: true)
  }

  /// Writes RST_STREAM in answer to the peer; says that the connection must end when too many wait to be read.
  func writeReset(_ id: UInt32, _ code: HTTP2ErrorCode) -> HTTP2Limit? {
    let limit = budget.controlFrameQueued(output.isEmpty)
    output.appendFrame(HTTP2FrameType.resetStream, stream: id, word: code.rawValue)
    return limit
  }

  func writeGoAway(lastStream: UInt32, _ code: HTTP2ErrorCode) {
    let long = UInt64(lastStream) << 32 | UInt64(code.rawValue)
    output.appendFrame(HTTP2FrameType.goAway, stream: 0, long: long)
  }
}
