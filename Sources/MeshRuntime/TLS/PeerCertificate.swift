internal import COpenSSL

/// What a peer's leaf certificate is told apart by.
package struct PeerCertificate: Hashable, Sendable {
  /// Of its DER form, in lower-case hexadecimal.
  package var sha256: String
  /// RFC 2253; empty where the certificate names its subject by a URI only.
  package var subject: String

  package init(sha256: String, subject: String) {
    self.sha256 = sha256
    self.subject = subject
  }

  init?(_ certificate: OpaquePointer?) {
    guard let certificate else { return nil }
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    guard X509_digest(certificate, EVP_sha256(), &digest, &length) == 1 else { return nil }
    let digits = Array("0123456789abcdef".utf8)
    sha256 = String(
      decoding: digest[..<Int(length)].flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    subject = Self.text(X509_get_subject_name(certificate))
  }

  private static func text(_ name: OpaquePointer?) -> String {
    guard let name, let bio = BIO_new(BIO_s_mem()) else { return "" }
    defer { BIO_free(bio) }
    guard apus_x509_name_print(bio, name) >= 0 else { return "" }
    return withUnsafeTemporaryAllocation(byteCount: 1_024, alignment: 1) { room in
      let count = BIO_read(bio, room.baseAddress, Int32(room.count))
      return count > 0 ? String(decoding: UnsafeRawBufferPointer(rebasing: room[..<Int(count)]), as: UTF8.self) : ""
    }
  }
}
