import MeshCore

/// Fields that belong to one connection and never pass an intermediary (RFC 9110, section 7.6.1).
extension HeaderToken {
  /// Removed from a head before it goes on. Framing fields are not among them: the encoders write those anew.
  public var isHopByHop: Bool {
    switch self {
    case .connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade, .http2Settings: true
    default: false
    }
  }

  /// Fields that frame, route, authenticate or modify a request have no meaning behind its content (RFC 9110, 6.5.1).
  public var isForbiddenInTrailers: Bool {
    switch self {
    case .host, .contentLength, .trailer, .expect, .authorization, .proxyAuthorization, .proxyAuthenticate,
      .wwwAuthenticate, .cookie, .setCookie, .cacheControl, .range, .contentEncoding, .contentType, .contentRange,
      .maxForwards, .xApusTargetPort, .xApusService:
      true
    default: isHopByHop
    }
  }

  /// A peer may not have these removed by naming them in `Connection`: the mesh itself adds or reads them.
  var isProtectedFromNomination: Bool {
    switch self {
    case .host, .contentLength, .xForwardedFor, .xForwardedProto, .xForwardedClientCert, .xRequestId, .traceparent,
      .tracestate, .xApusTargetPort, .xApusService, .authorization, .cookie:
      true
    default: false
    }
  }
}

extension MessageHead {
  /// Marks every connection-specific field removed: the fixed list and what `Connection` names.
  ///
  /// Call it right after decoding, before adding fields, so that a peer cannot nominate what the mesh adds.
  /// - Parameters:
  ///   - keepingTrailersTE: leaves one `TE` field with the value `trailers` if the peer accepts trailers.
  ///   - keepingUpgrade: leaves `Upgrade`, for a request or response that passes an upgrade on.
  public func removeHopByHopFields(keepingTrailersTE: Bool, keepingUpgrade: Bool = false) {
    let acceptsTrailers = keepingTrailersTE && acceptsTrailers
    let nominates = nominatesFields
    for i in fields.indices where !fields[i].isRemoved {
      let field = fields[i]
      if field.token == .upgrade && keepingUpgrade { continue }
      if field.token.isHopByHop && field.token != .connection || nominates && isNominated(field) { removeField(at: i) }
    }
    remove(.connection)
    if acceptsTrailers { append(.te, "trailers") }
  }

  /// The sender of this request accepts trailer fields in the response (`TE: trailers`; RFC 9110, section 10.1.4).
  public var acceptsTrailers: Bool {
    var accepts = false
    for field in fields where field.token == .te && !field.isRemoved {
      bytes(field.value).forEachListMember { if $0.equalsIgnoringCase("trailers") { accepts = true } }
    }
    return accepts
  }

  /// True if a live `Connection` field has an option other than the usual ones, which may then name a field.
  var nominatesFields: Bool {
    var nominates = false
    for field in fields where field.token == .connection && !field.isRemoved {
      bytes(field.value).forEachListMember { option in
        let isUsual =
          option.equalsIgnoringCase("keep-alive") || option.equalsIgnoringCase("close")
          || option.equalsIgnoringCase("upgrade") || option.equalsIgnoringCase("te")
        if !isUsual { nominates = true }
      }
    }
    return nominates
  }

  /// True if a live `Connection` field names `field`.
  func isNominated(_ field: Field) -> Bool {
    if field.token.isProtectedFromNomination { return false }
    let name = bytes(field.name)
    for other in fields where other.token == .connection && !other.isRemoved {
      if bytes(other.value).hasListMember(name) { return true }
    }
    return false
  }
}
