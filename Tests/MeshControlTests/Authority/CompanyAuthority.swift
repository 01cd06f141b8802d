import Crypto
import Foundation
import MeshControl
import MeshCore
import MeshIdentity
import SwiftASN1
import Synchronization
import X509

/// An authority outside the mesh: a root, an intermediate below it, and issuers as somebody wants them.
struct CompanyAuthority: Sendable {
  /// What is unusual about an issuer or its chain.
  struct Wish: Sendable {
    var lifetime: TimeInterval = 3600
    /// Nil: of the request.
    var key: Certificate.PublicKey?
    var isAuthority = true
    /// Of subjectKeyIdentifier; nil: the key's hash.
    var identifier: [UInt8]?
    /// Beside those that an issuer has.
    var extensions: [Certificate.Extension] = []
    var namesRoot = true
  }

  let rootKey = P256.Signing.PrivateKey()
  let key = P256.Signing.PrivateKey()
  let root: Certificate
  let intermediate: Certificate

  init(_ name: String = "Company", now: Date) throws {
    root = try Self.authority(
      name, Certificate.PrivateKey(rootKey).publicKey, below: nil, Certificate.PrivateKey(rootKey), pathLength: 2, now,
      Wish(lifetime: 86_400 * 3650))
    intermediate = try Self.authority(
      "\(name) meshes", Certificate.PrivateKey(key).publicKey, below: root, Certificate.PrivateKey(rootKey),
      pathLength: 1, now, Wish(lifetime: 86_400 * 365))
  }

  var rootPEM: String { get throws { try root.serializeAsPEM().pemString + "\n" } }

  func chain(for order: SigningOrder, _ wish: Wish = Wish(), now: Date) throws -> String {
    let request = try CertificateSigningRequest(pemEncoded: order.requestPEM)
    let issuer = try Self.authority(
      "Mesh issuer", wish.key ?? request.publicKey, below: intermediate, Certificate.PrivateKey(key), pathLength: 0,
      now,
      wish)
    return try ([issuer, intermediate] + (wish.namesRoot ? [root] : []))
      .map { try $0.serializeAsPEM().pemString + "\n" }.joined()
  }

  /// Dated back by three days, as authorities do.
  private static func authority(
    _ name: String, _ key: Certificate.PublicKey, below issuer: Certificate?, _ issuerKey: Certificate.PrivateKey,
    pathLength: Int, _ now: Date, _ wish: Wish
  ) throws -> Certificate {
    let subject = try DistinguishedName { CommonName(name) }
    var extensions = try Certificate.Extensions {
      Critical(
        wish.isAuthority ? BasicConstraints.isCertificateAuthority(maxPathLength: pathLength) : .notCertificateAuthority
      )
      Critical(KeyUsage(keyCertSign: true, cRLSign: true))
      wish.identifier.map { SubjectKeyIdentifier(keyIdentifier: $0[...]) } ?? SubjectKeyIdentifier(hash: key)
    }
    for each in wish.extensions { try extensions.append(each) }
    return try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key,
      notValidBefore: now.addingTimeInterval(-3 * 86_400), notValidAfter: now.addingTimeInterval(wish.lifetime),
      issuer: issuer?.subject ?? subject, subject: subject, extensions: extensions, issuerPrivateKey: issuerKey)
  }
}

/// A signer whose answers are the test's, and that remembers the keys that it was asked for.
final class FakeSigner: CertificateSigner {
  typealias Answer = @Sendable (SigningOrder) async throws -> String

  private struct State {
    var answer: Answer
    var orders: [SigningOrder] = []
  }

  let name = "https://signer.test/mesh"
  private let state: Mutex<State>

  init(_ answer: @escaping Answer) { state = Mutex(State(answer: answer)) }

  func sign(_ order: SigningOrder) async throws -> String {
    let answer = state.withLock { state in
      state.orders.append(order)
      return state.answer
    }
    return try await answer(order)
  }

  func answer(_ answer: @escaping Answer) { state.withLock { $0.answer = answer } }

  var orders: [SigningOrder] { state.withLock { $0.orders } }

  var keys: [Certificate.PublicKey] {
    get throws { try orders.map { try CertificateSigningRequest(pemEncoded: $0.requestPEM).publicKey } }
  }
}

/// Both clocks of a controller, which only the test moves.
final class TestClock: Sendable {
  static let start = Date(timeIntervalSince1970: 1_800_000_000)

  private let seconds = Mutex<TimeInterval>(0)

  var now: Date { Self.start.addingTimeInterval(seconds.withLock { $0 }) }

  func advance(_ by: TimeInterval) { seconds.withLock { $0 += by } }

  func move(to unixSeconds: Int64) {
    seconds.withLock { $0 = Double(unixSeconds) - Self.start.timeIntervalSince1970 }
  }

  var control: ControlClock {
    ControlClock(
      wall: { self.now },
      monotonic: { Instant(nanoseconds: UInt64(self.seconds.withLock { $0 } * 1e9)) })
  }
}
