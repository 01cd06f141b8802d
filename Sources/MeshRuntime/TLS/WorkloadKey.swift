internal import COpenSSL
package import MeshCore

/// A workload's private key (ECDSA P-256), made in this process and overwritten when it is let go.
///
/// Immutable, so it may be shared between threads; each user parses its own copy.
package final class WorkloadKey: @unchecked Sendable {
  // Unchecked because of the pointer: written in init, wiped in deinit, only read in between.
  private let bytes: UnsafeMutableRawBufferPointer

  /// Makes a new key.
  package convenience init() throws(TLSContextError) {
    guard let key = apus_generate_p256() else { throw .outOfMemory("EVP_EC_gen") }
    defer { EVP_PKEY_free(key) }
    try self.init(taking: key)
  }

  /// Reads an unencrypted PKCS#8 key, PEM or DER. Any key type that TLS 1.3 can sign with is taken.
  package convenience init(_ encoded: [UInt8]) throws(TLSContextError) {
    let key: OpaquePointer? = encoded.withUnsafeBytes { raw in
      if raw.starts(with: "-----BEGIN".utf8) {
        guard let bio = BIO_new_mem_buf(raw.baseAddress, Int32(clamping: raw.count)) else { return nil }
        defer { BIO_free(bio) }
        return PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in 0 }, nil)
      }
      var cursor = raw.bindMemory(to: UInt8.self).baseAddress
      return d2i_AutoPrivateKey(nil, &cursor, raw.count)
    }
    guard let key else { throw .unreadableKey(OpenSSLErrors.take()) }
    defer { EVP_PKEY_free(key) }
    try self.init(taking: key)
  }

  private init(taking key: OpaquePointer) throws(TLSContextError) {
    guard let info = EVP_PKEY2PKCS8(key) else { throw .outOfMemory("EVP_PKEY2PKCS8") }
    defer { PKCS8_PRIV_KEY_INFO_free(info) }
    let size = Int(i2d_PKCS8_PRIV_KEY_INFO(info, nil))
    guard size > 0 else { throw .outOfMemory("i2d_PKCS8_PRIV_KEY_INFO") }
    bytes = .allocate(byteCount: size, alignment: 16)
    var cursor = bytes.bindMemory(to: UInt8.self).baseAddress
    i2d_PKCS8_PRIV_KEY_INFO(info, &cursor)
  }

  deinit {
    OPENSSL_cleanse(bytes.baseAddress, bytes.count)
    bytes.deallocate()
  }

  /// The PKCS#8 form, for a caller that stores it (0600) or wipes it.
  package var pkcs8: [UInt8] { Array(bytes) }

  /// Calls `body` with OpenSSL's form of the key.
  func withKey<R>(_ body: (OpaquePointer) -> R?) -> R? {
    var cursor = UnsafePointer(bytes.bindMemory(to: UInt8.self).baseAddress)
    guard let key = d2i_AutoPrivateKey(nil, &cursor, bytes.count) else { return nil }
    defer { EVP_PKEY_free(key) }
    return body(key)
  }

  // MARK: - Certificate signing request

  /// A PKCS#10 request (DER) with an empty subject and the identity as its one alternative name.
  package func makeCSR(identity: SPIFFEID) throws(TLSContextError) -> [UInt8] {
    let request = withKey { key -> [UInt8]? in
      guard let request = X509_REQ_new() else { return nil }
      defer { X509_REQ_free(request) }
      guard X509_REQ_set_version(request, 0) == 1, X509_REQ_set_pubkey(request, key) == 1,
        apus_add_extension(request, NID_subject_alt_name, "critical,URI:\(identity)") == 1,
        X509_REQ_sign(request, key, EVP_sha256()) > 0
      else { return nil }
      let size = Int(i2d_X509_REQ(request, nil))
      guard size > 0 else { return nil }
      return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        var cursor = buffer.baseAddress
        count = Int(i2d_X509_REQ(request, &cursor))
      }
    }
    guard let request else { throw .outOfMemory("X509_REQ_sign") }
    return request
  }
}
