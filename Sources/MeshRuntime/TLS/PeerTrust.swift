internal import COpenSSL
import MeshCore

/// Whom TLS sessions believe: trust anchors, and what is revoked below them.
///
/// Immutable, and shared by the contexts of all workers: parsed once for the process.
package final class PeerTrust: @unchecked Sendable {
  // Unchecked because of OpenSSL's objects: made in init, freed in deinit, only read in between. What OpenSSL sorts or decodes in them when it
  // is first asked for, it does under a lock of its own.
  package let anchorsPEM: [UInt8]
  package let revocations: Revocations
  let anchors: [OpaquePointer]
  private let lists: [OpaquePointer]
  /// Sessions resume under the same trust only.
  let digest: [UInt8]

  package init(anchorsPEM: [UInt8], revocations: Revocations = Revocations()) throws(TLSContextError) {
    let certificates = try X509List(pem: anchorsPEM)
    guard !certificates.items.isEmpty else { throw .noTrustAnchors }
    var lists: [OpaquePointer] = []
    do throws(TLSContextError) {
      for text in revocations.lists { lists.append(try Self.parse(list: text)) }
    } catch {
      for list in lists { X509_CRL_free(list) }
      throw error
    }
    for certificate in certificates.items { X509_up_ref(certificate) }
    anchors = certificates.items
    self.lists = lists
    self.anchorsPEM = anchorsPEM
    self.revocations = revocations
    digest = Self.digest(anchorsPEM, revocations)
  }

  deinit {
    for anchor in anchors { X509_free(anchor) }
    for list in lists { X509_CRL_free(list) }
  }

  private static func parse(list text: String) throws(TLSContextError) -> OpaquePointer {
    var text = text
    let parsed = text.withUTF8 { bytes -> OpaquePointer? in
      guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
      defer { BIO_free(bio) }
      return PEM_read_bio_X509_CRL(bio, nil, { _, _, _, _ in 0 }, nil)
    }
    guard let parsed else { throw .unreadableRevocationList(OpenSSLErrors.take()) }
    guard apus_crl_is_full(parsed) == 1 else {
      X509_CRL_free(parsed)
      throw .unreadableRevocationList("it is a list of changes or of a part of the certificates")
    }
    return parsed
  }

  private static func digest(_ anchors: [UInt8], _ revocations: Revocations) -> [UInt8] {
    var text = anchors
    for list in revocations.lists { text += [0] + list.utf8 }
    for identity in revocations.identities.map(\.description).sorted() { text += [1] + identity.utf8 }
    for serial in revocations.serials.map(\.description).sorted() { text += [2] + serial.utf8 }
    var digest = [UInt8](repeating: 0, count: 32)
    SHA256(text, text.count, &digest)
    return digest
  }

  // MARK: - Judgement

  /// Why a certificate of a chain is not believed; nil when it is.
  func revocation(of certificate: OpaquePointer) -> (TLSFailure, String)? {
    guard !revocations.isEmpty else { return nil }
    let serial = SerialNumber(certificate)
    if revocations.serials.contains(serial) { return (.revoked, "its serial number \(serial) is denied") }
    for list in lists where apus_crl_revokes(list, certificate) == 1 {
      return (.revoked, "its serial number \(serial) is on its issuer's revocation list")
    }
    return nil
  }

  func denial(of identity: SPIFFEID) -> (TLSFailure, String)? {
    revocations.identities.contains(identity) ? (.identityDenied, "\(identity) is denied in this mesh") : nil
  }

  func holds(anchor: OpaquePointer) -> Bool { anchors.contains { X509_cmp($0, anchor) == 0 } }

  /// Everything that was believed under `earlier` is still, as far as chains go.
  func coversChains(of earlier: PeerTrust) -> Bool {
    revocations.lists == earlier.revocations.lists && revocations.serials.isSubset(of: earlier.revocations.serials)
      && earlier.anchors.allSatisfy { holds(anchor: $0) }
  }

  // MARK: - For people

  package var anchorCount: Int { anchors.count }

  package struct ListInfo: Sendable {
    package var issuer: String
    package var entries: Int
    /// Seconds since 1970; nil when the list does not say when the next one is due.
    package var nextUpdate: Int64?
  }

  package var listInfos: [ListInfo] {
    lists.map { list in
      ListInfo(
        issuer: CertificateInfo.name(X509_CRL_get_issuer(list)), entries: Int(apus_crl_count(list)),
        nextUpdate: X509_CRL_get0_nextUpdate(list).map { apus_asn1_time($0) })
    }
  }
}

extension SerialNumber {
  init(_ certificate: OpaquePointer) {
    let number = X509_get0_serialNumber(certificate)
    self.init(bytes: UnsafeBufferPointer(start: ASN1_STRING_get0_data(number), count: Int(ASN1_STRING_length(number))))
  }
}
