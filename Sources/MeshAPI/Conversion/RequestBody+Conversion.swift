import MeshPolicy

// On the wire 0 is "no limit" and "nothing held back", as in manifests; domain values say that by nil.
extension RequestBodyPolicy {
  init(_ message: Apus_V1_RequestBody) {
    self.init(
      maximumBytes: message.maximumBytes == 0 ? nil : message.maximumBytes,
      bufferBytes: message.bufferBytes == 0 ? nil : message.bufferBytes)
  }
}

extension Apus_V1_RequestBody {
  init(_ body: RequestBodyPolicy) {
    self.init()
    maximumBytes = body.maximumBytes ?? 0
    bufferBytes = body.bufferBytes ?? 0
  }
}
