package import MeshCore
import MeshIdentity

/// The mesh's secret for the tokens of sessions, in a file of the state directory that is made once: sessions outlive the controller.
package enum SessionSecret {
  package static func loadOrCreate(_ path: String) throws -> SipKey {
    if let bytes = try AtomicFile.read(path) {
      guard let key = SipKey(bytes: bytes) else {
        throw ControlPlaneError(
          "\(path) does not hold 16 bytes: remove it, and the sessions of clients (sessionPersistence) begin anew")
      }
      return key
    }
    var random = SystemRandomNumberGenerator()
    let bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
    try AtomicFile.write(bytes, to: path, mode: 0o600)
    guard let key = SipKey(bytes: bytes) else { throw ControlPlaneError("cannot make a key for sessions") }
    return key
  }
}
