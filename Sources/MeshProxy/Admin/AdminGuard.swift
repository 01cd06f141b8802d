import MeshCore

/// Lets through what changes something over the admin port: only with the token that stands in a file of the workload's owner. Everybody on
/// the machine reaches loopback, browsers on behalf of any web page included, but not that file.
///
/// Confined to the control loop.
final class AdminGuard {
  enum Refusal: String, CaseIterable {
    /// Nobody was given a token: `--admin-token-file` is not set.
    case disabled
    case noToken = "no_token"
    case wrongToken = "wrong_token"
  }

  /// A shorter one could be guessed.
  static let minimumTokenBytes = 32
  static let logInterval: TimeSpan = .seconds(1)

  private let token: [UInt8]
  private let log: ProxyLog
  private var lastLogged: Instant?
  private(set) var refused: [Refusal: UInt64] = [:]

  /// Without a token all is refused.
  init(token: [UInt8], log: ProxyLog) {
    self.token = token
    self.log = log
  }

  /// Why the admin token's file cannot be used; nil when it can be, or is not set.
  static func problem(of file: String) -> String? {
    if file.isEmpty || read(file).count >= minimumTokenBytes { return nil }
    return "cannot read an admin token of at least \(minimumTokenBytes) bytes in \(file); check --admin-token-file"
  }

  /// Without the end of its line; empty when there is none.
  static func read(_ file: String) -> [UInt8] {
    guard !file.isEmpty, let text = FileText.read(file) else { return [] }
    return Array(text.utf8.prefix { $0 > 0x20 })
  }

  /// The answer to a request that may not pass; nil for one that may. `authorization` is the field's value.
  func refusal(_ authorization: [UInt8]?, _ action: String, now: Instant) -> AdminReply? {
    guard let reason = judge(authorization) else {
      log.info("admin: \(action)")
      return nil
    }
    refused[reason, default: 0] &+= 1
    if lastLogged.map({ now - $0 >= Self.logInterval }) ?? true {
      lastLogged = now
      log.warning("admin: \(action) refused: \(reason.rawValue)")
    }
    switch reason {
    case .disabled:
      return .text(
        403, "Forbidden: this proxy was started without --admin-token-file, so nothing can be changed here.\n")
    case .noToken, .wrongToken:
      var reply = AdminReply.text(
        401, "Unauthorized: `authorization: Bearer TOKEN` is needed, with the token of --admin-token-file.\n")
      reply.isChallenge = true
      return reply
    }
  }

  private func judge(_ authorization: [UInt8]?) -> Refusal? {
    guard token.count >= Self.minimumTokenBytes else { return .disabled }
    let scheme = Array("bearer ".utf8)
    guard let authorization, authorization.count > scheme.count,
      zip(authorization, scheme).allSatisfy({ $0 | 0x20 == $1 | 0x20 })
    else { return .noToken }
    return Self.isEqual(authorization[scheme.count...], token) ? nil : .wrongToken
  }

  /// In a time that tells nothing of where the first difference is.
  private static func isEqual(_ a: ArraySlice<UInt8>, _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    return zip(a, b).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
