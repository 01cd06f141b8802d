import MeshAPI
import MeshCore
import MeshRuntime

/// The workload's certificate as the control thread holds it: what is in force, when it must be renewed.
///
/// A new key is made for each request and never leaves the process. Confined to the control loop.
struct IdentityKeeper {
  /// Certificate, key and anchors that workers build their contexts from.
  struct Material: Sendable {
    var key: WorkloadKey
    var chainPEM: [UInt8]
    var trust: PeerTrust
    var notBefore: Int64
    var notAfter: Int64
    /// When it came; its beginning is earlier, to allow for clocks that differ.
    var receivedAt: Int64
  }

  let identity: SPIFFEID
  private(set) var current: Material?
  private(set) var refreshes: UInt64 = 0
  /// What the discovery stream last said. It counts more than what comes with a certificate, which may be older.
  private var pushedTrust: PeerTrust?
  private var requestedKey: WorkloadKey?
  private(set) var ticketKey = TLSTicketKey()

  init(identity: SPIFFEID, current: Material? = nil) {
    self.identity = identity
    self.current = current
  }

  /// A certificate request in PEM for a new key.
  mutating func makeRequest() throws(TLSContextError) -> String {
    let key = try WorkloadKey()
    let request = try key.makeCSR(identity: identity)
    requestedKey = key
    return PEM.encode(request, label: "CERTIFICATE REQUEST")
  }

  /// Takes the controller's answer, after checking that it can be used. The old material stays in force on an error.
  mutating func accept(_ response: Apus_V1_CertifyResponse, nowSeconds: Int64) throws(TLSContextError) {
    guard let key = requestedKey else { return }
    var trust = pushedTrust
    if trust == nil { trust = try PeerTrust(anchorsPEM: Array(response.trustAnchorsPem.utf8)) }
    guard let trust else { return }
    let material = Material(
      key: key, chainPEM: Array(response.certificateChainPem.utf8), trust: trust, notBefore: response.notBefore,
      notAfter: response.notAfter, receivedAt: nowSeconds)
    _ = try context(material, .client)
    requestedKey = nil
    current = material
    refreshes += 1
  }

  /// What the discovery stream says; certificate and contexts stay. Nil when nothing in use changes by it.
  mutating func replaceTrust(
    anchorsPEM: String, _ revocations: Revocations
  ) throws(TLSContextError) -> PeerTrust? {
    let anchors = Array(anchorsPEM.utf8)
    if let known = pushedTrust ?? current?.trust, known.anchorsPEM == anchors, known.revocations == revocations {
      pushedTrust = known
      return nil
    }
    let trust = try PeerTrust(anchorsPEM: anchors, revocations: revocations)
    pushedTrust = trust
    guard current != nil else { return nil }
    current?.trust = trust
    return trust
  }

  /// For contexts made from now on; those in use are told by `ProxyWorker.rotateTicketKey`.
  mutating func rotateTicketKey(to key: TLSTicketKey) { ticketKey = key }

  /// Time until renewal: half of the remaining life, 10 % earlier or later, at least one second.
  func renewalDelay(nowSeconds: Int64, _ random: inout SeededRandom) -> TimeSpan {
    guard let current else { return .zero }
    let life = Double(current.notAfter - current.receivedAt)
    let age = Double(nowSeconds - current.receivedAt)
    let jitter = 0.9 + 0.2 * random.unit()
    return .milliseconds(Int64(max(1.0, life * 0.5 * jitter - age) * 1000))
  }

  func isValid(nowSeconds: Int64) -> Bool { current.map { nowSeconds < $0.notAfter + 20 } ?? false }

  func context(_ material: Material, _ role: TLSConfiguration.Role) throws(TLSContextError) -> TLSContext {
    var configuration = TLSConfiguration(
      role: role, key: material.key, chainPEM: material.chainPEM, trustAnchorsPEM: [], protocols: ["h2"],
      ticketKey: ticketKey)
    configuration.trust = material.trust
    configuration.trustDomain = identity.trustDomain
    return try TLSContext(configuration)
  }
}

/// RFC 7468 text encoding.
enum PEM {
  static func encode(_ der: [UInt8], label: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: der.count, by: 3) {
      let group = der[start..<min(start + 3, der.count)]
      let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
      for i in 0..<4 { text.append(i <= group.count ? alphabet[Int(bits >> UInt32(18 - 6 * i) & 63)] : 0x3D) }
    }
    var lines: [String] = []
    for start in stride(from: 0, to: text.count, by: 64) {
      lines.append(String(decoding: text[start..<min(start + 64, text.count)], as: UTF8.self))
    }
    return "-----BEGIN \(label)-----\n\(lines.joined(separator: "\n"))\n-----END \(label)-----\n"
  }
}
