// What mailing gets of one of Kratos' mails: the code, and the link to the page that takes it. The link names the request
// for the code as auth knows it, not Kratos' flow.
function(ctx)
  local data = ctx.template_data;
  local reference = if 'transient_payload' in data && 'reference' in data.transient_payload then data.transient_payload.reference else '';
  local link(page, code) = '${PUBLIC_URL}/' + page + '?id=' + reference + '&code=' + code;
  {
    recipient: ctx.recipient,
    template_type: ctx.template_type,
    template_data:
      if 'verification_code' in data then { verification_code: data.verification_code, verification_url: link('verification', data.verification_code) }
      else if 'recovery_code' in data then { recovery_code: data.recovery_code, recovery_url: link('recovery', data.recovery_code) }
      else {},
  }
