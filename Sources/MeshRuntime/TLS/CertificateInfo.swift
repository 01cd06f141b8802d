internal import COpenSSL
package import MeshCore

/// What people and metrics want to know about one certificate.
package struct CertificateInfo: Hashable, Sendable {
  /// Bounds of validity in seconds since 1970.
  package var notBefore: Int64
  package var notAfter: Int64
  /// Hexadecimal.
  package var serial: String
  package var subject: String
  package var issuer: String
  /// The SPIFFE identity, when there is exactly one URI and it has the mesh's form.
  package var identity: SPIFFEID?

  /// Reads the first certificate of a PEM text.
  package init(pem: [UInt8]) throws(TLSContextError) {
    guard let first = try Self.all(pem: pem).first else { throw .unreadableCertificate("no certificate in the file") }
    self = first
  }

  package init(der: [UInt8]) throws(TLSContextError) {
    let parsed = der.withUnsafeBufferPointer { buffer -> CertificateInfo? in
      var cursor = buffer.baseAddress
      guard let certificate = d2i_X509(nil, &cursor, buffer.count) else { return nil }
      defer { X509_free(certificate) }
      return CertificateInfo(certificate)
    }
    guard let parsed else { throw .unreadableCertificate(OpenSSLErrors.take()) }
    self = parsed
  }

  /// Every certificate of a PEM text, in order.
  package static func all(pem: [UInt8]) throws(TLSContextError) -> [CertificateInfo] {
    let certificates = try X509List(pem: pem)
    return certificates.items.map { CertificateInfo($0) }
  }

  init(_ certificate: OpaquePointer) {
    notBefore = apus_asn1_time(X509_get0_notBefore(certificate))
    notAfter = apus_asn1_time(X509_get0_notAfter(certificate))
    subject = Self.name(X509_get_subject_name(certificate))
    issuer = Self.name(X509_get_issuer_name(certificate))
    identity = PeerIdentity.read(certificate).identity
    serial = ""
    if let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nil) {
      if let hex = BN_bn2hex(number) {
        serial = String(cString: hex)
        CRYPTO_free(hex, nil, 0)
      }
      BN_free(number)
    }
  }

  static func name(_ name: OpaquePointer?) -> String {
    guard let name, let bio = BIO_new(BIO_s_mem()) else { return "" }
    defer { BIO_free(bio) }
    guard apus_x509_name_print(bio, name) >= 0 else { return "" }
    var buffer = [UInt8](repeating: 0, count: 512)
    let n = BIO_read(bio, &buffer, Int32(buffer.count))
    return n > 0 ? String(decoding: buffer[..<Int(n)], as: UTF8.self) : ""
  }
}

/// Certificates parsed from PEM, freed together.
struct X509List: ~Copyable {
  private(set) var items: [OpaquePointer] = []

  init(pem: [UInt8]) throws(TLSContextError) {
    let problem = pem.withUnsafeBytes { raw -> String? in
      guard let bio = BIO_new_mem_buf(raw.baseAddress, Int32(clamping: raw.count)) else { return "out of memory" }
      defer { BIO_free(bio) }
      while let certificate = PEM_read_bio_X509(bio, nil, { _, _, _, _ in 0 }, nil) { items.append(certificate) }
      // The reader ends with "no start line", which is the end of the file; anything else is damage.
      let code = ERR_peek_last_error()
      if code == 0 || apus_err_library(code) == ERR_LIB_PEM && apus_err_reason(code) == PEM_R_NO_START_LINE {
        ERR_clear_error()
        return nil
      }
      return OpenSSLErrors.take()
    }
    if let problem { throw .unreadableCertificate(problem) }
  }

  deinit {
    for item in items { X509_free(item) }
  }
}

/// Reading the SPIFFE identity of a certificate (X509-SVID, section 2: exactly one URI).
enum PeerIdentity {
  case valid(SPIFFEID)
  case malformed(String)

  var identity: SPIFFEID? {
    if case .valid(let id) = self { return id }
    return nil
  }

  static func read(_ certificate: OpaquePointer) -> PeerIdentity {
    withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 1) { room in
      var length: Int32 = 0
      let count = apus_x509_uris(certificate, room.bindMemory(to: CChar.self).baseAddress, 2048, &length)
      if count < 0 { return .malformed("its alternative names cannot be read") }
      guard count == 1 else { return .malformed("it has \(count) URI names instead of one") }
      // It goes to logs: a stranger's line breaks do not.
      let printable = room[..<Int(length)].map { (0x21...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
      let uri = String(decoding: printable, as: UTF8.self)
      guard let id = SPIFFEID(uri) else { return .malformed("\"\(uri)\" is not spiffe://DOMAIN/ns/NAMESPACE/sa/NAME") }
      return .valid(id)
    }
  }
}
