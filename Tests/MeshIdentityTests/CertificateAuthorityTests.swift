import Crypto
import Foundation
import MeshCore
import MeshIdentity
import SwiftASN1
import Testing
@_spi(FixedExpiryValidationTime) import X509

@Suite struct CertificateAuthorityTests {
  let scratch: ScratchDirectory
  let authority: CertificateAuthority

  init() throws {
    scratch = try ScratchDirectory()
    authority = try makeAuthority(scratch.path + "/ca")
  }

  // MARK: - Issuing

  @Test("a leaf carries the identity, no authority and the asked lifetime")
  func leaf() throws {
    let leaf = try authority.issue(csrDER: signingRequest(), for: orders, now: start).certificate
    let names = try #require(try leaf.extensions.subjectAlternativeNames)
    #expect(Array(names) == [.uniformResourceIdentifier(orders.description)])
    #expect(leaf.extensions[oid: .X509ExtensionID.subjectAlternativeName]?.critical == true)
    #expect(try leaf.extensions.basicConstraints == .notCertificateAuthority)
    #expect(try leaf.extensions.keyUsage == KeyUsage(digitalSignature: true))
    #expect(try Array(#require(try leaf.extensions.extendedKeyUsage)) == [.serverAuth, .clientAuth])
    #expect(leaf.subject.isEmpty)
    #expect(leaf.serialNumber.bytes.count == 16)
    #expect(leaf.notValidBefore == start.addingTimeInterval(-20))
    #expect(leaf.notValidAfter == start.addingTimeInterval(24 * 3600))
  }

  @Test("a request without names gets the identity of its token")
  func requestWithoutNames() throws {
    let leaf = try authority.issue(csrDER: signingRequest(uris: []), for: orders, now: start).certificate
    #expect(try leaf.extensions.subjectAlternativeNames?.first == .uniformResourceIdentifier(orders.description))
  }

  @Test("a leaf never outlives its issuer, nor an issuer its root")
  func clamped() throws {
    let end = authority.issuer.notAfter
    let leaf = try authority.issue(csrDER: signingRequest(), for: orders, now: end.addingTimeInterval(-60))
    #expect(leaf.notAfter == end)
    #expect(throws: IdentityError.issuerExpired) {
      try authority.issue(csrDER: signingRequest(), for: orders, now: end)
    }
    let short = try makeAuthority(scratch.path + "/short", maker: AuthorityMaker(rootLifetime: 60, issuerLifetime: 600))
    #expect(short.issuer.certificate.notValidAfter == start.addingTimeInterval(60))
    #expect(throws: IdentityError.rootExpired) {
      try short.issue(csrDER: signingRequest(), for: orders, now: start.addingTimeInterval(60))
    }
  }

  @Test("two leaves never share a serial number")
  func serialNumbers() throws {
    let request = try signingRequest()
    let numbers = try (0..<20).map { _ in
      try authority.issue(csrDER: request, for: orders, now: start).certificate.serialNumber
    }
    #expect(Set(numbers).count == 20)
  }

  @Test("Ed25519 and P-384 keys are accepted")
  func otherKeys() throws {
    for key in [
      Certificate.PrivateKey(Curve25519.Signing.PrivateKey()), Certificate.PrivateKey(P384.Signing.PrivateKey()),
    ] {
      let issued = try authority.issue(csrDER: signingRequest(key: key), for: orders, now: start)
      #expect(issued.certificate.publicKey == key.publicKey)
    }
  }

  // MARK: - Refusals

  private func refusal(_ request: [UInt8]) -> IdentityError? {
    do {
      _ = try authority.issue(csrDER: request, for: orders, now: start)
      return nil
    } catch {
      return error as? IdentityError
    }
  }

  @Test("a request for another identity, a second name or a DNS name is refused")
  func otherNames() throws {
    let payments = "spiffe://cluster.local/ns/shop/sa/payments"
    #expect(
      refusal(try signingRequest(uris: [payments]))
        == .identityMismatch(requested: payments, authenticated: orders.description))
    #expect(
      refusal(try signingRequest(uris: [orders.description, payments]))
        == .identityMismatch(requested: payments, authenticated: orders.description))
    #expect(
      refusal(try signingRequest(uris: [orders.description, orders.description]))
        == .identityMismatch(requested: "2 names", authenticated: orders.description))
    #expect(
      refusal(try signingRequest(dnsNames: ["orders.shop"]))
        == .identityMismatch(requested: "the DNS name orders.shop", authenticated: orders.description))
  }

  @Test("a request to become an authority is refused")
  func authorityRequest() throws {
    #expect(
      refusal(try signingRequest(constraints: .isCertificateAuthority(maxPathLength: nil))) == .authorityRequested)
    #expect(refusal(try signingRequest(usage: KeyUsage(keyCertSign: true))) == .authorityRequested)
    #expect(refusal(try signingRequest(constraints: .notCertificateAuthority)) == nil)
  }

  @Test("a request whose signature is not by its own key is refused")
  func proofOfPossession() throws {
    let victim = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let thief = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let own = try CertificateSigningRequest(derEncoded: signingRequest(key: thief))
    let forged = try CertificateSigningRequest(
      version: .v1, subject: DistinguishedName(), publicKey: victim.publicKey, attributes: own.attributes,
      signatureAlgorithm: own.signatureAlgorithm, signature: own.signature)
    var serializer = DER.Serializer()
    try serializer.serialize(forged)
    #expect(refusal(serializer.serializedBytes) == .proofOfPossessionFailed)
  }

  @Test("a request with any byte changed is refused, or was changed in a bit that means nothing")
  func corrupted() throws {
    let request = try signingRequest()
    let key = try CertificateSigningRequest(derEncoded: request).publicKey
    var accepted = 0
    for index in request.indices {
      var broken = request
      broken[index] ^= 0x01
      guard let issued = try? authority.issue(csrDER: broken, for: orders, now: start) else { continue }
      // The count of unused bits of the signature may be read as one when the last bit is zero: the same request.
      accepted += 1
      #expect(issued.certificate.publicKey == key, "byte \(index)")
    }
    #expect(accepted <= 1)
  }

  @Test("garbage, an empty and an oversized request are refused")
  func garbage() {
    #expect(refusal([]) == .malformedRequest("not a PKCS #10 request"))
    #expect(refusal([0x30, 0x80, 0x00]) == .malformedRequest("not a PKCS #10 request"))
    #expect(
      refusal([UInt8](repeating: 0x30, count: 16_385))
        == .malformedRequest("16385 bytes, at most 16384 are allowed"))
  }

  @Test("a key of a kind that is not listed is refused")
  func otherKinds() throws {
    #expect(
      refusal(try signingRequest(key: Certificate.PrivateKey(P521.Signing.PrivateKey()))) == .weakKey("P521"))
  }

  // MARK: - Chains

  /// Checks what RFC 5280 leaves to the application: the critical name is a SPIFFE URI.
  struct SPIFFEPolicy: VerifierPolicy {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
      .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.keyUsage,
    ]

    mutating func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
      guard let name = try? chain.leaf.extensions.subjectAlternativeNames?.first,
        name == .uniformResourceIdentifier(orders.description)
      else { return .failsToMeetPolicy(reason: "wrong identity") }
      return .meetsPolicy
    }
  }

  private func isValid(
    _ leaf: Certificate, under root: Certificate, with issuers: [Certificate]? = nil, at time: Date
  ) async -> Bool {
    var verifier = Verifier(rootCertificates: CertificateStore([root])) {
      RFC5280Policy(fixedExpiryValidationTime: time)
      SPIFFEPolicy()
    }
    if case .validCertificate = await verifier.validate(
      leaf: leaf, intermediates: CertificateStore(issuers ?? authority.issuer.chain))
    {
      return true
    }
    return false
  }

  @Test("the chain verifies while valid, and under no other root")
  func chain() async throws {
    let leaf = try authority.issue(csrDER: signingRequest(), for: orders, lifetime: 60, now: start).certificate
    #expect(await isValid(leaf, under: authority.root, at: start))
    #expect(await isValid(leaf, under: authority.root, at: start.addingTimeInterval(-19)))
    #expect(await !isValid(leaf, under: authority.root, at: start.addingTimeInterval(-21)))
    #expect(await !isValid(leaf, under: authority.root, at: start.addingTimeInterval(61)))
    #expect(await !isValid(leaf, under: authority.root, with: [], at: start), "the issuer must come along")
    let foreign = try makeAuthority(scratch.path + "/foreign")
    #expect(await !isValid(leaf, under: foreign.root, at: start))
    #expect(await !isValid(leaf, under: foreign.root, with: foreign.issuer.chain, at: start))
  }

  @Test("openssl accepts the chain for both purposes and signs requests that are accepted")
  func openssl() throws {
    let directory = scratch.path
    try run(
      "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/",
      "-keyout", "\(directory)/k.pem", "-outform", "DER", "-out", "\(directory)/r.der",
      "-addext", "subjectAltName=critical,URI:\(orders)")
    let request = try #require(try AtomicFile.read("\(directory)/r.der"))
    let authority = try makeAuthority(directory + "/now", now: Date())
    let current = try authority.issue(csrDER: request, for: orders, now: Date())
    try AtomicFile.write(current.chainPEM, to: "\(directory)/leaf.pem")
    try AtomicFile.write(authority.trustBundlePEM, to: "\(directory)/bundle.pem")
    for purpose in ["sslserver", "sslclient"] {
      try run(
        "openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile",
        "\(directory)/bundle.pem", "-untrusted", "\(directory)/leaf.pem", "\(directory)/leaf.pem")
    }
  }

  private func run(_ arguments: String...) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(arguments.joined(separator: " ")): \(text)")
  }
}
