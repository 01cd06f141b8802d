import Crypto
import Foundation
import MeshCore
import MeshIdentity
import SwiftASN1
import Testing
import X509

@testable import MeshControl

/// Something that a signer gets wrong, and a part of what is said of it.
struct Mistake: Sendable, CustomStringConvertible {
  typealias Make = @Sendable (CompanyAuthority, Issuer, TestClock) throws -> FakeSigner.Answer

  var description: String
  var text: String
  var answer: Make

  init(_ description: String, _ text: String, _ answer: @escaping Make) {
    (self.description, self.text, self.answer) = (description, text, answer)
  }

  /// An issuer with something unusual.
  static func wish(
    _ description: String, _ text: String, _ make: @escaping @Sendable () throws -> CompanyAuthority.Wish
  )
    -> Mistake
  {
    Mistake(description, text) { company, _, clock in
      let wish = try make()
      return { try company.chain(for: $0, wish, now: clock.now) }
    }
  }

  static func constraints(_ description: String, _ text: String, _ constraints: NameConstraints) -> Mistake {
    wish(description, text) { .init(extensions: [try Certificate.Extension(constraints, critical: true)]) }
  }

  static let all: [Mistake] = [
    wish("another key", "not the key of the chain's first") {
      .init(key: Certificate.PrivateKey(P256.Signing.PrivateKey()).publicKey)
    },
    wish("no authority", "not an authority") { .init(isAuthority: false) },
    wish("expired", "has expired") { .init(lifetime: -1) },
    wish("soon at its end", "before the certificates that it signs") { .init(lifetime: 30) },
    wish("no key identifier", "subjectKeyIdentifier has 0 bytes") { .init(identifier: []) },
    wish("a huge key identifier", "subjectKeyIdentifier has 65 bytes") {
      .init(identifier: Array(repeating: 1, count: 65))
    },
    Mistake("the key identifier of the issuer in force", "signs already") { company, inForce, clock in
      let identifier = try inForce.certificate.extensions.subjectKeyIdentifier.map { Array($0.keyIdentifier) }
      return { try company.chain(for: $0, .init(identifier: identifier), now: clock.now) }
    },
    wish("for clients only", "extendedKeyUsage") {
      .init(extensions: [try Certificate.Extension(ExtendedKeyUsage([.clientAuth]), critical: false)])
    },
    wish("a critical extension of its own", "critical extension that proxies do not know (1.2.3.4)") {
      .init(extensions: [Certificate.Extension(oid: [1, 2, 3, 4], critical: true, value: [4, 0])])
    },
    constraints(
      "another trust domain", "may not sign for spiffe://cluster.local",
      NameConstraints(permittedURIDomains: ["example.com"])),
    constraints(
      "a parent of the trust domain without a dot", "may not sign for spiffe://cluster.local",
      NameConstraints(permittedURIDomains: ["local"])),
    constraints(
      "everything but the trust domain", "may not sign for spiffe://cluster.local",
      NameConstraints(forbiddenURIDomains: [".local"])),
    constraints(
      "other DNS names", "may not sign for the DNS name apus-controller.apus-system",
      NameConstraints(permittedDNSDomains: ["example.com"])),
    Mistake("a root of the same name", "no known root has signed it") { _, _, clock in
      let other = try CompanyAuthority(now: clock.now)
      return { try other.chain(for: $0, .init(namesRoot: false), now: clock.now) }
    },
    Mistake("a root that is not ours", "which the mesh does not trust") { _, _, clock in
      let other = try CompanyAuthority("Other", now: clock.now)
      return { try other.chain(for: $0, now: clock.now) }
    },
    Mistake("no certificates", "no certificate in PEM") { _, _, _ in { _ in "<html>\u{1B}[31mlogin" } },
    Mistake("nothing", "its chain is empty") { _, _, _ in { _ in "" } },
    Mistake("too many certificates", "more than 4 certificates") { company, _, clock in
      { order in try company.chain(for: order, now: clock.now) + String(repeating: company.rootPEM, count: 4) }
    },
  ]
}

@Suite struct NameConstraintTests {
  @Test("constraints that leave the mesh its names are no obstacle")
  func allowed() async throws {
    let scratch = try StateScratch()
    let clock = TestClock()
    let company = try CompanyAuthority(now: clock.now)
    try AtomicFile.write(try company.rootPEM, to: scratch.path + "/roots.pem")
    for constraints in [
      NameConstraints(permittedURIDomains: ["cluster.local"]), NameConstraints(permittedURIDomains: [".local"]),
      NameConstraints(permittedDNSDomains: ["apus-system"], permittedURIDomains: ["x.org", "CLUSTER.local"]),
      NameConstraints(excludedDNSDomains: ["example.com"], forbiddenURIDomains: [".cluster.local"]),
      NameConstraints(permittedEmailAddresses: ["example.com"]),
    ] {
      let wish = CompanyAuthority.Wish(extensions: [try Certificate.Extension(constraints, critical: true)])
      let store = AuthorityStore(directory: scratch.path + "/\(UInt64.random(in: 0 ... .max))")
      let keeper = try AuthorityKeeper(store: store, clock: clock.control, log: quietLog)
      let signer = FakeSigner { try company.chain(for: $0, wish, now: clock.now) }
      await keeper.attach(
        ExternalAuthority(signer: signer, rootFile: scratch.path + "/roots.pem", leafLifetimeSeconds: 60))
      await keeper.renewFromSigner()
      #expect(await keeper.renewalStanding.trouble == nil, "\(constraints)")
    }
  }
}
