import MeshPolicy
import MeshRuntime

/// Key and certificate that a proxy shows to servers outside the mesh (`tls.mode: Mutual`), as one worker has them. Confined to its loop.
///
/// The files are looked at by their content once a second, as an issuer's renewal may swap a link; a pair that cannot be used, such as
/// one that is half written, leaves the last good one in force.
final class ClientCredential {
  private let files: TLSOrigination.ClientCertificate
  private(set) var key: WorkloadKey?
  private(set) var chainPEM: [UInt8] = []
  /// Why the files cannot be used now; empty while they can.
  private(set) var failure = ""

  init(_ files: TLSOrigination.ClientCertificate) {
    self.files = files
    refresh()
  }

  /// Reads the files again. True: there is another certificate to show, or there is none where there was a pair before it could be used.
  @discardableResult
  func refresh() -> Bool {
    guard let chain = FileText.read(files.certificateFile).map({ Array($0.utf8) }), !chain.isEmpty else {
      failure = "\(files.certificateFile) cannot be read"
      return false
    }
    if chain == chainPEM {
      failure = ""
      return false
    }
    guard let secret = SecretBytes(file: files.keyFile) else {
      failure = "\(files.keyFile) cannot be read"
      return false
    }
    do throws(TLSContextError) {
      let key = try WorkloadKey(secret)
      // Whether both fit together is for OpenSSL to say.
      _ = try TLSContext(TLSConfiguration(client: key, chain))
      (self.key, chainPEM, failure) = (key, chain, "")
      return true
    } catch {
      failure = "\(files.certificateFile), \(files.keyFile): \(error)"
      return false
    }
  }
}

extension TLSConfiguration {
  /// For a trial: nobody is asked.
  fileprivate init(client key: WorkloadKey, _ chain: [UInt8]) {
    self.init(role: .client, key: key, chainPEM: chain, trustAnchorsPEM: [])
    trustsSystem = true
    requiresWorkloadIdentity = false
  }
}
