internal import CLinux
internal import COpenSSL
package import MeshCore

/// A workload's private key (ECDSA P-256), made in this process. There is one copy of it, on OpenSSL's secure heap (see `KeyMemory`),
/// which OpenSSL wipes when the last context that signs with it is gone.
///
/// Immutable, so it may be shared between threads.
package final class WorkloadKey: @unchecked Sendable {
  // Unchecked because of the pointer: OpenSSL's keys are counted atomically and only read once they are made.
  private let key: OpaquePointer

  /// Makes a new key.
  package init() throws(TLSContextError) {
    guard let key = apus_generate_p256() else { throw .outOfMemory("EVP_EC_gen") }
    self.key = key
  }

  /// Reads an unencrypted PKCS#8 key, PEM or DER. Any key type that TLS 1.3 can sign with is taken.
  package convenience init(_ encoded: [UInt8]) throws(TLSContextError) {
    try self.init(parsed: encoded.withUnsafeBytes { Self.parse($0) })
  }

  package convenience init(_ encoded: SecretBytes) throws(TLSContextError) {
    try self.init(parsed: encoded.withBytes { Self.parse($0) })
  }

  private init(parsed key: OpaquePointer?) throws(TLSContextError) {
    guard let key else { throw .unreadableKey(OpenSSLErrors.take()) }
    self.key = key
  }

  /// OpenSSL's decoders leave the key on the ordinary heap, as text and as DER.
  private static func parse(_ raw: UnsafeRawBufferPointer) -> OpaquePointer? {
    clinux_wiping_begin()
    defer { clinux_wiping_end() }
    if raw.starts(with: "-----BEGIN".utf8) {
      guard let bio = BIO_new_mem_buf(raw.baseAddress, Int32(clamping: raw.count)) else { return nil }
      defer { BIO_free(bio) }
      return PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in 0 }, nil)
    }
    var cursor = raw.bindMemory(to: UInt8.self).baseAddress
    return d2i_AutoPrivateKey(nil, &cursor, raw.count)
  }

  deinit { EVP_PKEY_free(key) }

  /// A copy in PKCS#8 form, for a caller that stores it (0600) and wipes it.
  package var pkcs8: [UInt8] {
    guard let info = EVP_PKEY2PKCS8(key) else { return [] }
    defer { PKCS8_PRIV_KEY_INFO_free(info) }
    let size = Int(i2d_PKCS8_PRIV_KEY_INFO(info, nil))
    guard size > 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      var cursor = buffer.baseAddress
      count = Int(i2d_PKCS8_PRIV_KEY_INFO(info, &cursor))
    }
  }

  /// Calls `body` with OpenSSL's form of the key.
  func withKey<R>(_ body: (OpaquePointer) -> R?) -> R? { body(key) }

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
