extension DeclaredMirror {
  /// Reads `HTTPRequestMirrorFilter`; the caller calls `finish`.
  init?(_ body: Fields, namespace: String) {
    let refFields = body.required("backendRef", fix: "name the Service that gets the copies")?.fields()
    let ref = refFields.flatMap { fields in
      let ref = RouteBackendRef(fields, namespace: namespace, failure: "nothing is mirrored")
      fields.finish()
      return ref
    }
    let percent = body.optional("percent")
    let fraction = body.optional("fraction")
    if let percent, fraction != nil {
      percent.error("cannot stand together with fraction", fix: "remove one of the two")
    }
    var share: (Int, Int)? = (100, 100)
    if let percent { share = percent.integer(in: 0...100).map { ($0, 100) } }
    if let fraction { share = fraction.fraction() }
    guard let ref, let share else { return nil }
    self.init(backend: ref, numerator: UInt32(share.0), denominator: UInt32(share.1))
  }
}

extension Field {
  /// Reads `Fraction`: a numerator that is not above the denominator, whose default is 100.
  fileprivate func fraction() -> (Int, Int)? {
    guard let fields = fields() else { return nil }
    let largest = Int(Int32.max)
    let numerator = fields.required("numerator")?.integer(in: 0...largest)
    let denominator = fields.optional("denominator").map { $0.integer(in: 1...largest) } ?? 100
    fields.finish()
    guard let numerator, let denominator else { return nil }
    guard numerator <= denominator else {
      fields.error("numerator", "\(numerator) of \(denominator) is more than all", fix: "swap the two")
      return nil
    }
    return (numerator, denominator)
  }
}
