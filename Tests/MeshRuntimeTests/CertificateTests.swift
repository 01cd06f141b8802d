import COpenSSL
import MeshCore
import MeshRuntime
import Testing

@Suite struct CertificateTests {
  @Test("a key survives its PKCS#8 form, and certificates tell identity, bounds and names")
  func certificateInfo() throws {
    let authority = TestAuthority(name: "root of the test")
    let key = try WorkloadKey(WorkloadKey().pkcs8)
    let info = try CertificateInfo(pem: authority.issue(key, names: "URI:\(TLSFixture.web)", from: -100, to: 500))
    #expect(info.identity == TLSFixture.web)
    #expect(info.notAfter - info.notBefore == 600)
    #expect(abs(info.notAfter - 500 - WallClock.now / 1000) <= 2)
    #expect(info.issuer == "CN=root of the test" && info.serial == "02")
  }

  @Test("a signing request carries the identity as its only name and is signed by the key")
  func signingRequest() throws {
    let der = try WorkloadKey().makeCSR(identity: TLSFixture.orders)
    let request = der.withUnsafeBufferPointer { buffer in
      var cursor = buffer.baseAddress
      return d2i_X509_REQ(nil, &cursor, buffer.count)
    }
    defer { X509_REQ_free(request) }
    #expect(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) == 1)
    #expect(String(decoding: der, as: UTF8.self).contains(TLSFixture.orders.description))
  }

  @Test("damaged input is refused with a text that says what to check")
  func damaged() throws {
    let authority = TestAuthority()
    let key = try WorkloadKey()
    let chain = authority.issue(key, names: "URI:\(TLSFixture.web)")
    #expect(throws: TLSContextError.noTrustAnchors) {
      _ = try TLSContext(TLSConfiguration(role: .client, key: nil, trustAnchorsPEM: []))
    }
    #expect(throws: TLSContextError.missingCertificate) {
      _ = try TLSContext(TLSConfiguration(role: .server, key: nil, trustAnchorsPEM: authority.pem))
    }
    #expect(throws: TLSContextError.keyDoesNotMatchCertificate) {
      _ = try TLSContext(
        TLSConfiguration(role: .server, key: WorkloadKey(), chainPEM: chain, trustAnchorsPEM: authority.pem))
    }
    #expect(throws: TLSContextError.self) { _ = try CertificateInfo(pem: Array(chain.prefix(200))) }
    #expect(throws: TLSContextError.self) { _ = try WorkloadKey([1, 2, 3]) }
    #expect("\(TLSContextError.noTrustAnchors)".contains("check"))
  }
}
