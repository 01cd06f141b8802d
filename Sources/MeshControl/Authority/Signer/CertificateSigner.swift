package import MeshCore

/// An authority outside the mesh that signs the mesh's issuers. What it answers is judged by others: a signer only brings it.
package protocol CertificateSigner: Sendable {
  /// Where requests go, for people: nothing secret.
  var name: String { get }

  /// The chain in PEM, the issuer first; the root at its end may be left out. Throws `SignerError`.
  func sign(_ order: SigningOrder) async throws -> String
}

/// What a signer is asked for.
package struct SigningOrder: Hashable, Sendable {
  /// PKCS #10 in PEM.
  package var requestPEM: String
  package var trustDomain: String
  package var lifetimeSeconds: Int

  package init(requestPEM: String, trustDomain: String, lifetimeSeconds: Int) {
    self.requestPEM = requestPEM
    self.trustDomain = trustDomain
    self.lifetimeSeconds = lifetimeSeconds
  }
}

/// Bounds of what a signer may do to us, and we to it.
package enum SignerLimits {
  /// Of a signer's answer, body and heads each. A chain of four certificates with RSA keys has 8 KiB.
  static let answerBytes = 65_536
  static let headBytes = 16_384
  static let headFields = 64
  /// Of a file with a token: a projected service-account token has 1 to 2 KiB.
  static let tokenBytes = 8_192
  /// Of files with certificates in PEM, and certificates in them.
  static let certificateFileBytes = 262_144
  static let roots = 16
  /// Of a signer's own words in a message of ours.
  static let complaintBytes = 200
  static let messageBytes = 600
  /// Seconds, from the first packet to the last byte of the answer. More than a minute would outlast the patience of whoever has asked.
  package static let timeout = 1...60
  package static let defaultTimeout = 10
  /// Seconds that an issuer is asked to live: a minute (tests) to ten years.
  package static let lifetime = 60...315_360_000
  package static let defaultLifetime = 90 * 86_400
  /// Waits between attempts; a signer that says when to come back is believed up to an hour.
  static let firstRetry = TimeSpan.seconds(2)
  static let lastRetry = TimeSpan.seconds(900)
  static let longestRetryAfter = TimeSpan.seconds(3600)
}

/// Why a signer has not given an issuer. The text says what to do, and has no token in it.
package struct SignerError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Reason: String, CaseIterable, Sendable {
    /// A file of ours cannot be used.
    case configuration
    /// Our own disk does not take the key or the state.
    case storage
    case unreachable
    /// Its certificate does not prove that it is the signer.
    case untrusted
    case timeout
    /// It does not want to: credentials, path, request.
    case refused
    /// It cannot now.
    case unavailable
    /// No answer of the protocol.
    case malformed
    /// What it has signed cannot be used.
    case unusable
  }

  package var reason: Reason
  package var description: String
  package var retryAfter: TimeSpan?

  package init(_ reason: Reason, _ description: String, retryAfter: TimeSpan? = nil) {
    self.reason = reason
    self.description = SignerText.printable(description, limit: SignerLimits.messageBytes)
    self.retryAfter = retryAfter
  }
}

/// A stranger's words, made fit for a log line and a terminal.
enum SignerText {
  static func printable(_ text: some StringProtocol, limit: Int) -> String {
    let clean = text.utf8.prefix(limit).map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: " ") }
    let words = String(decoding: clean, as: UTF8.self).split(separator: " ").joined(separator: " ")
    return text.utf8.count > limit ? words + "..." : words
  }
}
