import COpenSSL
import MeshCore
import MeshRuntime

/// A small certificate authority for tests.
final class TestAuthority {
  private let key: OpaquePointer
  private let root: OpaquePointer
  private var serial = 1

  init(name: String = "test root") {
    key = apus_generate_p256()!
    root = X509_new()!
    X509_set_version(root, 2)
    ASN1_INTEGER_set(X509_get_serialNumber(root), 1)
    X509_gmtime_adj(X509_getm_notBefore(root), -3600)
    X509_gmtime_adj(X509_getm_notAfter(root), 86400)
    let subject = X509_get_subject_name(root)
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8_, name, -1, -1, 0)
    X509_set_issuer_name(root, subject)
    X509_set_pubkey(root, key)
    _ = apus_x509_add_extension(root, root, NID_basic_constraints, "critical,CA:TRUE")
    _ = apus_x509_add_extension(root, root, NID_key_usage, "critical,keyCertSign,cRLSign")
    X509_sign(root, key, EVP_sha256())
  }

  deinit {
    X509_free(root)
    EVP_PKEY_free(key)
  }

  var pem: [UInt8] { Self.pem(root) }

  /// A certificate for `workload`'s public key; times are seconds from now, `names` the alternative names in
  /// OpenSSL's notation.
  func issue(
    _ workload: WorkloadKey, names: String, from begin: Int = -60, to end: Int = 3600,
    usage: String = "serverAuth,clientAuth"
  ) -> [UInt8] {
    let certificate = X509_new()!
    defer { X509_free(certificate) }
    let encoded = workload.pkcs8
    let subjectKey = encoded.withUnsafeBufferPointer { buffer in
      var cursor = buffer.baseAddress
      return d2i_AutoPrivateKey(nil, &cursor, buffer.count)
    }
    defer { EVP_PKEY_free(subjectKey) }
    serial += 1
    X509_set_version(certificate, 2)
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial)
    X509_gmtime_adj(X509_getm_notBefore(certificate), begin)
    X509_gmtime_adj(X509_getm_notAfter(certificate), end)
    X509_set_issuer_name(certificate, X509_get_subject_name(root))
    X509_set_pubkey(certificate, subjectKey)
    _ = apus_x509_add_extension(certificate, root, NID_basic_constraints, "critical,CA:FALSE")
    _ = apus_x509_add_extension(certificate, root, NID_key_usage, "critical,digitalSignature")
    _ = apus_x509_add_extension(certificate, root, NID_ext_key_usage, usage)
    if !names.isEmpty { _ = apus_x509_add_extension(certificate, root, NID_subject_alt_name, "critical,\(names)") }
    X509_sign(certificate, key, EVP_sha256())
    return Self.pem(certificate)
  }

  /// The serial number of the certificate issued last.
  var lastSerial: SerialNumber { SerialNumber(String(serial, radix: 16))! }

  /// A full revocation list with the serial numbers.
  func revocationList(of serials: Int...) -> String {
    let list = X509_CRL_new()!
    defer { X509_CRL_free(list) }
    let now = X509_gmtime_adj(nil, 0)
    defer { ASN1_STRING_free(now) }
    X509_CRL_set_version(list, 1)
    X509_CRL_set_issuer_name(list, X509_get_subject_name(root))
    X509_CRL_set1_lastUpdate(list, now)
    for serial in serials {
      let entry = X509_REVOKED_new()!
      let number = ASN1_INTEGER_new()!
      defer { ASN1_INTEGER_free(number) }
      ASN1_INTEGER_set(number, serial)
      X509_REVOKED_set_serialNumber(entry, number)
      X509_REVOKED_set_revocationDate(entry, now)
      X509_CRL_add0_revoked(list, entry)
    }
    X509_CRL_sort(list)
    X509_CRL_sign(list, key, EVP_sha256())
    let bio = BIO_new(BIO_s_mem())
    defer { BIO_free(bio) }
    PEM_write_bio_X509_CRL(bio, list)
    var buffer = [UInt8](repeating: 0, count: 8192)
    return String(decoding: buffer[..<Int(BIO_read(bio, &buffer, 8192))], as: UTF8.self)
  }

  private static func pem(_ certificate: OpaquePointer) -> [UInt8] {
    let bio = BIO_new(BIO_s_mem())
    defer { BIO_free(bio) }
    PEM_write_bio_X509(bio, certificate)
    var buffer = [UInt8](repeating: 0, count: 8192)
    return Array(buffer[..<Int(BIO_read(bio, &buffer, 8192))])
  }
}

/// OpenSSL's MBSTRING_UTF8, a macro with a shift that Swift does not see.
private let MBSTRING_UTF8_: Int32 = 0x1000
