internal import COpenSSL
internal import Glibc
package import MeshCore

/// What an established TLS session agreed on.
package struct TLSInfo: Hashable, Sendable {
  /// Nil only when this side asks for no certificate, or for one without an identity.
  package var peerIdentity: SPIFFEID?
  /// Of a client that showed one.
  package var peerCertificate: PeerCertificate?
  /// The agreed protocol; empty when none was negotiated.
  package var alpn: String
  package var resumed: Bool
  package var version: String
  package var cipher: String
  /// Of the key exchange.
  package var group: String
}

/// What a server outside the mesh proves to be: one of these names stands in its certificate (RFC 9525).
package struct ServerNames: Hashable, Sendable {
  /// DNS names, or IP addresses.
  package var hosts: [String]
  package var uris: [String]

  package init(hosts: [String], uris: [String] = []) {
    self.hosts = hosts
    self.uris = uris
  }
}

/// How to speak TLS to one peer.
package struct TLSClient {
  package var context: TLSContext
  /// Of a context that requires workload identities: the connection is refused unless the peer's certificate names exactly this
  /// workload.
  package private(set) var expectedIdentity: SPIFFEID?
  /// Of any other context: the connection is refused unless the peer's certificate has one of the names.
  package private(set) var expectedNames: ServerNames?
  /// SNI; nil sends none.
  package var serverName: String?
  package var handshakeTimeout = TimeSpan.seconds(10)

  package init(context: TLSContext, expectedIdentity: SPIFFEID, serverName: String? = nil) {
    self.context = context
    self.expectedIdentity = expectedIdentity
    self.serverName = serverName
  }

  package init(context: TLSContext, expectedNames: ServerNames, serverName: String?) {
    self.context = context
    self.expectedNames = expectedNames
    self.serverName = serverName
  }
}

/// The TLS state of one connection: an OpenSSL session on a socket BIO.
///
/// Owned by its connection, on that connection's loop. Holds its context, so a renewed certificate leaves it
/// undisturbed.
final class TLSSession {
  enum HandshakeOutcome {
    case wantsMore
    case done(TLSInfo)
    case failed(TLSFailure, String)
  }

  enum Outcome {
    /// The socket has no more, or takes no more.
    case wouldBlock
    /// The budget is used up; go on in the next turn.
    case more
    case end
    case failed(CloseReason)
  }

  // One for the process: OpenSSL has only 127 BIO types. Immutable after it is made.
  private nonisolated(unsafe) static let bioMethod = apus_bio_method_new()

  let context: TLSContext
  let isClient: Bool
  let expectedIdentity: SPIFFEID?
  let expectedNames: ServerNames?
  let sessionKey: TLSContext.SessionKey?
  /// What the peer was, or will be, believed under.
  var trust: PeerTrust?
  var wasAskedToRenegotiate = false
  let ssl: OpaquePointer
  let state: UnsafeMutablePointer<apus_bio_state>
  /// What our own verifier found; more telling than OpenSSL's error.
  var verifyFailure: (TLSFailure, String)?
  var peerIdentity: SPIFFEID?
  var isEstablished = false
  /// OpenSSL may hold bytes that no epoll event will announce.
  private(set) var hasPendingInput = false
  private var readSize = 4096
  private var sentCloseNotify = false
  private var readNeedsWrite = false

  private static func make(
    _ context: TLSContext, descriptor: Int32
  ) -> (OpaquePointer, UnsafeMutablePointer<apus_bio_state>)? {
    guard let method = bioMethod, let ssl = SSL_new(context.raw) else { return nil }
    let state = UnsafeMutablePointer<apus_bio_state>.allocate(capacity: 1)
    state.initialize(to: apus_bio_state())
    state.pointee.fd = descriptor
    guard let bio = apus_bio_new(method, state) else {
      SSL_free(ssl)
      state.deallocate()
      return nil
    }
    SSL_set_bio(ssl, bio, bio)
    return (ssl, state)
  }

  init?(server context: TLSContext, descriptor: Int32) {
    guard let (ssl, state) = Self.make(context, descriptor: descriptor) else { return nil }
    self.ssl = ssl
    self.state = state
    self.context = context
    trust = context.trust
    isClient = false
    expectedIdentity = nil
    expectedNames = nil
    sessionKey = nil
    SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    SSL_set_accept_state(ssl)
  }

  init?(client: TLSClient, peer: SocketAddress, descriptor: Int32) {
    guard let (ssl, state) = Self.make(client.context, descriptor: descriptor) else { return nil }
    self.ssl = ssl
    self.state = state
    context = client.context
    trust = context.trust
    isClient = true
    expectedIdentity = client.expectedIdentity
    expectedNames = client.expectedNames
    let key = TLSContext.SessionKey(
      address: peer, identity: client.expectedIdentity,
      serverName: client.expectedIdentity == nil ? client.serverName : nil)
    sessionKey = key
    SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    if let name = client.serverName { _ = apus_ssl_set_host_name(ssl, name) }
    if let session = context.takeSession(for: key) {
      SSL_set_session(ssl, session)
      SSL_SESSION_free(session)
    }
    SSL_set_connect_state(ssl)
  }

  deinit {
    SSL_free(ssl)
    state.deallocate()
  }

  static func of(_ ssl: OpaquePointer) -> TLSSession? {
    SSL_get_ex_data(ssl, 0).map { Unmanaged<TLSSession>.fromOpaque($0).takeUnretainedValue() }
  }

  // MARK: - Readiness

  var isWriteBlocked: Bool { state.pointee.write_blocked != 0 }
  func noteReadable() { state.pointee.drained = 0 }

  /// True when a read had stopped because it had to write first (a key update), so that it must be tried again.
  func noteWritable() -> Bool {
    state.pointee.write_blocked = 0
    guard readNeedsWrite else { return false }
    readNeedsWrite = false
    state.pointee.drained = 0
    return true
  }

  func noteEndIsNear() {
    state.pointee.read_to_the_end = 1
    state.pointee.drained = 0
  }

  /// System calls and bytes since the last call.
  func takeCounts() -> (reads: UInt64, writes: UInt64, bytesRead: UInt64, bytesWritten: UInt64) {
    let s = state.pointee
    state.pointee.reads = 0
    state.pointee.writes = 0
    state.pointee.bytes_read = 0
    state.pointee.bytes_written = 0
    return (s.reads, s.writes, s.bytes_read, s.bytes_written)
  }

  // MARK: - Handshake

  func handshake() -> HandshakeOutcome {
    ERR_clear_error()
    let result = SSL_do_handshake(ssl)
    if result == 1 { return finishHandshake() }
    switch SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wantsMore
    default: return handshakeFailure()
    }
  }

  private func finishHandshake() -> HandshakeOutcome {
    let resumed = SSL_session_reused(ssl) == 1
    if let failure = verifyResumedPeer(isResumed: resumed) {
      if let sessionKey { context.forgetSessions(for: sessionKey) }
      return .failed(failure.0, failure.1)
    }
    if let failure = judgeConduct() { return .failed(failure.0, failure.1) }
    let alpn = negotiatedProtocol()
    if context.configuration.requiresProtocol, !context.protocolList.isEmpty, alpn.isEmpty {
      return .failed(.noCommonProtocol, "the peer chose none of \(context.configuration.protocols)")
    }
    isEstablished = true
    hasPendingInput = SSL_has_pending(ssl) == 1
    apus_ssl_forget_key_share(ssl)
    return .done(
      TLSInfo(
        peerIdentity: peerIdentity,
        peerCertificate: isClient ? nil : PeerCertificate(SSL_get0_peer_certificate(ssl)), alpn: alpn, resumed: resumed,
        version: String(cString: SSL_get_version(ssl)),
        cipher: SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)).map { String(cString: $0) } ?? "",
        group: String(cString: apus_ssl_group(ssl))))
  }

  private func negotiatedProtocol() -> String {
    var name: UnsafePointer<UInt8>?
    var length: UInt32 = 0
    SSL_get0_alpn_selected(ssl, &name, &length)
    return String(decoding: UnsafeBufferPointer(start: name, count: Int(length)), as: UTF8.self)
  }

  // MARK: - Data

  /// Records decrypted in one turn: each costs a microsecond even when it carries one byte.
  private static let recordsPerTurn = 256

  /// Decrypts into `input` until the socket is empty, `budget` bytes or `recordsPerTurn` records came, or `input` holds
  /// `limit`.
  func read(into input: ByteQueue, budget: Int, limit: Int) -> Outcome {
    // Of a write: what was sent before it failed is read all the same.
    state.pointee.error = 0
    var left = budget
    var records = Self.recordsPerTurn
    while left > 0, records > 0, input.count < limit {
      records -= 1
      let room = input.reserve(max(readSize, Int(SSL_pending(ssl))))
      var n = 0
      ERR_clear_error()
      guard SSL_read_ex(ssl, room.baseAddress, room.count, &n) == 1 else {
        hasPendingInput = false
        if wasAskedToRenegotiate { return .failed(.tls(.renegotiation, detail: "the peer asked to renegotiate")) }
        return interpret(SSL_get_error(ssl, 0), isReading: true)
      }
      input.commit(n)
      left -= n
      if wasAskedToRenegotiate { return .failed(.tls(.renegotiation, detail: "the peer asked to renegotiate")) }
      readSize = n == room.count || n > 4096 ? 16 * 1024 : 4096
      // Asking OpenSSL again would take a read buffer, find nothing and give it back.
      if state.pointee.drained != 0, SSL_has_pending(ssl) == 0 {
        hasPendingInput = false
        return .wouldBlock
      }
    }
    hasPendingInput = true
    return .more
  }

  /// Encrypts from `output`, one record of at most 16 KiB at a time. The kernel hears which is the last of this call, so
  /// that it makes full segments of many and wakes the peer once.
  func write(from output: ByteQueue, budget: Int) -> Outcome {
    var left = budget
    while left > 0, !output.isEmpty {
      let bytes = output.readable
      var n = 0
      ERR_clear_error()
      let size = min(bytes.count, 16 * 1024)
      state.pointee.more = size < min(bytes.count, left) ? 1 : 0
      defer { state.pointee.more = 0 }
      // A refused write is repeated with the same bytes: the queue only grows behind them.
      guard SSL_write_ex(ssl, bytes.baseAddress, size, &n) == 1 else {
        return interpret(SSL_get_error(ssl, 0), isReading: false)
      }
      output.consume(n)
      left -= n
    }
    return .more
  }

  private func interpret(_ error: Int32, isReading: Bool) -> Outcome {
    switch error {
    case SSL_ERROR_WANT_READ: return .wouldBlock
    case SSL_ERROR_WANT_WRITE:
      readNeedsWrite = readNeedsWrite || isReading
      return .wouldBlock
    case SSL_ERROR_ZERO_RETURN: return .end
    default: return .failed(dataFailure())
    }
  }

  // MARK: - End

  /// Sends close_notify once. False when the socket would block: call again when it is writable.
  func sendCloseNotify() -> Bool {
    guard !sentCloseNotify, isEstablished else { return true }
    ERR_clear_error()
    let result = SSL_shutdown(ssl)
    if result < 0, SSL_get_error(ssl, result) == SSL_ERROR_WANT_WRITE { return false }
    ERR_clear_error()
    sentCloseNotify = true
    return true
  }
}
